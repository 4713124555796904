/** How photos are analysed: the options of Python's `mien.analyzer.Options` that a browser has a use for. */

import { UsageError } from "./errors.js";
import { checkDetector, LEAST_FACE, type DetectorOptions } from "./faces/detection.js";
import { checkRotation, type Rotation } from "./looking.js";
import { checkDecode, DECODE_DEFAULTS, type DecodeOptions } from "./photos/picture.js";

export type DetectorName = "mtcnn" | "whole";

export interface Options extends DecodeOptions {
  /** "whole": each picture is an aligned chip already. */
  readonly detector: DetectorName;
  /**
   * Smallest face to look for, as the longer side of its box in pixels of the photo as given; null for 30, or an 80th
   * of the photo's longer side where that is more.
   */
  readonly minFace: number | null;
  /** Least score of a face, 0 to 1; null for the detector's own. */
  readonly threshold: number | null;
  /** Keep only so many, the largest; null for all. */
  readonly maxFaces: number | null;
  readonly rotate: Rotation;
  /** Share of true ages that the age intervals are to hold. */
  readonly level: number;
  /** Call a gender "uncertain" where its probability is below this. */
  readonly abstain: number;
  /** Average the answers for each chip and its mirror image. */
  readonly mirror: boolean;
}

export const DEFAULTS: Options = {
  detector: "mtcnn",
  minFace: null,
  threshold: null,
  maxFaces: null,
  rotate: "auto",
  level: 0.9,
  abstain: 0.6,
  mirror: false,
  ...DECODE_DEFAULTS,
};

/** What may differ from photo to photo. */
export interface Choice {
  readonly level?: number;
  readonly abstain?: number;
  readonly rotate?: Rotation;
  /** The photo's name in its record. */
  readonly source?: string;
}

/** All options, from some; refuses unknown and impossible ones. */
export function complete(wanted: Partial<Options>): Options {
  for (const name of Object.keys(wanted)) {
    if (!(name in DEFAULTS)) throw UsageError.unknown("option", name, Object.keys(DEFAULTS));
  }
  const options: Options = { ...DEFAULTS, ...given(wanted) };
  if (!["mtcnn", "whole"].includes(options.detector)) {
    throw UsageError.unknown("detector", options.detector, ["mtcnn", "whole"]);
  }
  checkDetector(detectorOptions(options));
  checkDecode({ maxPixels: options.maxPixels, maxBytes: options.maxBytes, targetSide: options.targetSide });
  checkChoice(options);
  return options;
}

/** Without what is undefined, which would hide a default. */
export function given<Some extends object>(some: Some): Some {
  return Object.fromEntries(Object.entries(some).filter(([, value]) => value !== undefined)) as Some;
}

/** What of the options is the detector's. */
export function detectorOptions({ minFace, threshold, maxFaces }: Options): DetectorOptions {
  return { minFace: minFace ?? LEAST_FACE, threshold, maxFaces };
}

/** Refuse what is no level of intervals, no probability of the likelier of two, or no turn. */
export function checkChoice({ level, abstain, rotate }: Pick<Choice, "level" | "abstain" | "rotate">): void {
  if (rotate !== undefined) checkRotation(rotate);
  if (level !== undefined && !(level > 0 && level < 1)) {
    throw new UsageError(`the level of age intervals must lie between 0 and 1, not ${level}`);
  }
  if (abstain !== undefined && !(abstain >= 0.5 && abstain <= 1)) {
    throw new UsageError(`the probability to abstain below must lie between 0.5 and 1, not ${abstain}`);
  }
}
