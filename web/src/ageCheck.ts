/** Old enough? One photo of one person to "pass", "fail" or "unsure", with the reason; Python's `mien.age_check`. */

import { ModelError } from "./errors.js";
import { checkRate, decide, oldEnough, ruleFor, type AgeChecks, type Outcome, type Rule } from "./estimate/ageCheck.js";
import { faceRecord, round, SCHEMA_VERSION, type Face, type Failure, type Photo } from "./results.js";

export interface AgeCheckOptions {
  /** The limit in years. */
  readonly minAge?: number;
  /** Share of people of up to eight years below the limit that may pass. */
  readonly maxFalsePass?: number;
  /** Share of people of up to eight years above the limit that may fail. */
  readonly maxFalseFail?: number;
}

/** The decision on one face. */
export interface FaceCheck {
  readonly outcome: Outcome;
  /** That the person is as old as the limit. */
  readonly probability: number;
  readonly reason: string;
  readonly face: Face;
}

/** The decision on one photo: that of its only face; "unsure" where there is none, or several; "error" where it failed. */
export interface AgeCheck {
  readonly schema_version: number;
  readonly source: string;
  readonly model: string;
  readonly outcome: Outcome | "error";
  readonly reason: string;
  readonly rule: Readonly<Record<string, number>>;
  readonly faces: readonly FaceCheck[];
  readonly error: Failure | null;
}

const VAGUE = "its age could be almost any: the model cannot tell, and perhaps this is no face";

/** Decide on an analysed photo by the thresholds of the model that analysed it. */
export function checkAge(photo: Photo, checks: AgeChecks | null, options: AgeCheckOptions = {}): AgeCheck {
  const { minAge = 18, maxFalsePass = 0.01, maxFalseFail = 0.01 } = options;
  checkRate("maxFalsePass", maxFalsePass);
  checkRate("maxFalseFail", maxFalseFail);
  if (checks === null) throw new ModelError(`model ${photo.model} has no age checks`);
  const rule = ruleFor(checks, minAge, maxFalsePass, maxFalseFail);
  const faces = photo.faces.map((face) => decideOn(face, rule));
  const only = faces.length === 1 && photo.error === null ? faces[0]! : null;
  const why = faces.length === 0 ? "no face was found" : `there are ${faces.length} faces: whose age is asked for?`;
  return {
    schema_version: SCHEMA_VERSION,
    source: photo.source,
    model: photo.model,
    outcome: photo.error ? "error" : (only?.outcome ?? "unsure"),
    reason: photo.error?.message ?? only?.reason ?? why,
    rule: {
      min_age: minAge,
      max_false_pass: maxFalsePass,
      max_false_fail: maxFalseFail,
      pass_above: rule.passAbove,
      fail_below: rule.failBelow,
    },
    faces,
    error: photo.error,
  };
}

/** Numbers rounded as in Python's `AgeCheck.to_dict()`, without the distributions of age. */
export function toCheckRecord(check: AgeCheck): AgeCheck {
  const faces = check.faces.map((one) => ({
    ...one,
    probability: round(one.probability, 6),
    face: faceRecord(one.face),
  }));
  return { ...check, faces };
}

function decideOn(face: Face, rule: Rule): FaceCheck {
  if (!face.age.pmf) throw new ModelError("an age check needs the face's age distribution: give the photo as analysed");
  const probability = oldEnough(face.age.pmf, rule.limit);
  const { flags } = face.quality;
  const outcome = decide(rule, probability, flags.length > 0);
  return { outcome, probability, reason: reasonFor(outcome, probability, rule, flags), face };
}

function reasonFor(outcome: Outcome, probability: number, rule: Rule, flags: readonly string[]): string {
  const { limit } = rule;
  const poor = flags.filter((flag) => flag !== "vague");
  if (poor.length > 0) return `the face is ${poor.join(" and ")}: a better photo is needed`;
  if (flags.length > 0) return VAGUE;
  if (outcome === "fail") return `younger than ${limit} with a probability of ${percent(1 - probability)}`;
  if (outcome === "pass") return `${limit} or older with a probability of ${percent(probability)}`;
  return undecided(limit, probability, rule.passAbove, rule.failBelow);
}

/** What the probability is and what it would have to be, with as many digits as tell the two apart. */
function undecided(limit: number, probability: number, passAbove: number, failBelow: number): string {
  const nearPass = probability - failBelow > passAbove - probability;
  const other = nearPass ? passAbove : failBelow;
  const digits = [1, 2, 3, 4].find((n) => (100 * probability).toFixed(n) !== (100 * other).toFixed(n)) ?? 4;
  const told = `${limit} or older with a probability of ${(100 * probability).toFixed(digits)} %`;
  const needed =
    passAbove >= 1 ? "no probability is high enough for a pass" : `a pass needs ${(100 * passAbove).toFixed(digits)} %`;
  return `${told}; ${needed}${nearPass ? "" : `, a fail less than ${(100 * failBelow).toFixed(digits)} %`}`;
}

/** Never a certainty. */
function percent(share: number): string {
  return `${Math.min(99.9, Math.max(0.1, 100 * share)).toFixed(1)} %`;
}
