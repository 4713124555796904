/** How photos are analysed: the options of Python's `mien.analyzer.Options` that a browser has a use for. */

import { UsageError } from "./errors.js";
import { checkDetector } from "./faces/detection.js";
import { checkDecode, DECODE_DEFAULTS, type DecodeOptions } from "./photos/picture.js";

export type DetectorName = "mtcnn" | "whole";

export interface Options extends DecodeOptions {
  /** "whole": each picture is an aligned chip already. */
  readonly detector: DetectorName;
  readonly minFace: number;
  readonly threshold: number | null;
  readonly maxFaces: number | null;
  /** Share of true ages that the age intervals are to hold. */
  readonly level: number;
  /** Call a gender "uncertain" where its probability is below this. */
  readonly abstain: number;
  /** Average the answers for each chip and its mirror image. */
  readonly mirror: boolean;
}

export const DEFAULTS: Options = {
  detector: "mtcnn",
  minFace: 30,
  threshold: null,
  maxFaces: null,
  level: 0.9,
  abstain: 0.6,
  mirror: false,
  ...DECODE_DEFAULTS,
};

/** What may differ from photo to photo. */
export interface Choice {
  readonly level?: number;
  readonly abstain?: number;
  /** The photo's name in its record. */
  readonly source?: string;
}

/** All options, from some; refuses unknown and impossible ones. */
export function complete(given: Partial<Options>): Options {
  for (const name of Object.keys(given)) {
    if (!(name in DEFAULTS)) throw UsageError.unknown("option", name, Object.keys(DEFAULTS));
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options: Options = { ...DEFAULTS, ...set };
  if (!["mtcnn", "whole"].includes(options.detector)) {
    throw UsageError.unknown("detector", options.detector, ["mtcnn", "whole"]);
  }
  checkDetector(options);
  checkDecode({ maxPixels: options.maxPixels, maxBytes: options.maxBytes, targetSide: options.targetSide });
  checkChoice(options);
  return options;
}

/** Refuse what is no level of intervals, or no probability of the likelier of two. */
export function checkChoice({ level, abstain }: { level?: number; abstain?: number }): void {
  if (level !== undefined && !(level > 0 && level < 1)) {
    throw new UsageError(`the level of age intervals must lie between 0 and 1, not ${level}`);
  }
  if (abstain !== undefined && !(abstain >= 0.5 && abstain <= 1)) {
    throw new UsageError(`the probability to abstain below must lie between 0.5 and 1, not ${abstain}`);
  }
}
