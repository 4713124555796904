/** What all views of one face say together, averaged by how good each view is; Python's `mien.video.smooth`. */

import { AGES, expectation, interval, median, type Calibration } from "../estimate/calibrate.js";
import { DULLEST, SMALLEST } from "../estimate/quality.js";
import { genderFromFemale, round, type Age, type Face, type Gender, type Quality } from "../results.js";

const FLAGGED = 0.2;
const LEAST_WEIGHT = 0.001;

/** How much a view counts, above 0 to 1: 1 is frontal, sharp and of twice the size at which a face is "small". */
export function weightOf({ eyes, sharpness, turn, flags }: Quality): number {
  const size = Math.min(1, eyes / (2 * SMALLEST));
  const detail = Math.min(1, sharpness / (2 * DULLEST));
  const facing = Math.cos((Math.min(90, Math.abs(turn ?? 0)) * Math.PI) / 180) ** 2;
  return Math.max(LEAST_WEIGHT, round(size * detail * facing * FLAGGED ** flags.length, 6));
}

/** The views of one track, added up; its size does not grow with their number. */
export class Average {
  views = 0;
  #weight = 0;
  #pmf = new Float64Array(AGES);
  #female = 0;
  #flagged = 0;

  /** Take one view, with its probability of "female". */
  add(face: Face, female: number): void {
    const share = weightOf(face.quality);
    this.views += 1;
    this.#weight += share;
    face.age.pmf!.forEach((mass, age) => (this.#pmf[age]! += share * mass));
    this.#female += share * female;
    this.#flagged += share * Number(face.quality.flags.length > 0);
  }

  /** Mean weight of the views, 0 to 1. */
  get quality(): number {
    return this.views ? this.#weight / this.views : 0;
  }

  /** The averaged age, its interval wide where most of the weight lies on poor views. */
  age(level: number, calibration: Calibration): Age {
    const pmf = this.#pmf.map((mass) => mass / this.#weight);
    const [low, high] = interval(pmf, level, calibration, 2 * this.#flagged > this.#weight);
    return { years: expectation(pmf), median: median(pmf), low, high, level, pmf: [...pmf] };
  }

  gender(abstain: number): Gender {
    return genderFromFemale(Math.min(1, this.#female / this.#weight), abstain);
  }
}
