/** Faces found, as in Python's `mien.faces`: coordinates are continuous, the centre of pixel (0, 0) is at (0.5, 0.5). */

import { UsageError } from "../errors.js";
import type { Raster } from "../cv/raster.js";
import type { Box, Point } from "../results.js";

/** Pixels of the smallest face that is looked for without another wish. */
export const LEAST_FACE = 30;

/** Share of the smallest face wanted of a picture down to which smaller ones are told. */
const BELOW = 0.7;

export interface Detection {
  readonly box: Box;
  readonly score: number | null;
  readonly landmarks: readonly Point[] | null;
}

/** What every detector understands. */
export interface DetectorOptions {
  /** Smallest face wanted, in pixels of the picture given. */
  readonly minFace: number;
  /** Least score of a face, 0 to 1; null for the detector's own. */
  readonly threshold: number | null;
  /** At most this many faces, the largest; null for all. */
  readonly maxFaces: number | null;
}

export interface Detector {
  /** Whether pictures are taken as aligned chips, to be resized rather than warped. */
  readonly aligned: boolean;
  /** Score from which on a face is hardly ever something else; null where photos are never turned unless asked. */
  readonly sure: number | null;
  /**
   * Faces of a picture, largest box first.
   *
   * @param minFace smallest face to look for in this picture; of smaller ones those that turn up down to 0.7 of it are
   *   told too. Without it the options' count, and no smaller ones.
   */
  detect(picture: Raster, minFace?: number): Promise<Detection[]>;
}

/** Boxes [N, 4], scores [N] and landmarks [N, 5, 2] in flat arrays. */
export interface Found {
  readonly boxes: Float32Array;
  readonly scores: Float32Array;
  readonly points: Float32Array;
}

/** Refuse what no detector can do. */
export function checkDetector({ minFace, threshold, maxFaces }: DetectorOptions): void {
  if (!(minFace >= 12)) throw new UsageError(`minFace is ${minFace}: no detector sees faces below 12 pixels`);
  if (threshold !== null && !(threshold >= 0 && threshold <= 1)) {
    throw new UsageError(`threshold is ${threshold}: a score lies between 0 and 1`);
  }
  if (maxFaces !== null && !(maxFaces >= 1)) {
    throw new UsageError(`maxFaces is ${maxFaces}: give 1 or more, or nothing for all`);
  }
}

/** A detector's arrays as detections: clipped to the picture, limits applied, largest first. */
export function collect(
  options: DetectorOptions,
  { width, height }: Raster,
  { boxes, scores, points }: Found,
  minFace?: number,
): Detection[] {
  const least = minFace === undefined ? options.minFace : BELOW * minFace;
  const all = Array.from(scores, (score, k) => {
    const [left, top, right, bottom] = boxes.subarray(4 * k, 4 * k + 4) as unknown as [number, number, number, number];
    const box = {
      left: clip(left, width),
      top: clip(top, height),
      right: clip(right, width),
      bottom: clip(bottom, height),
    };
    const landmarks = Array.from({ length: 5 }, (_, p): Point => [points[10 * k + 2 * p]!, points[10 * k + 2 * p + 1]!]);
    const sides = [box.right - box.left, box.bottom - box.top] as const;
    return { found: { box, score, landmarks }, area: sides[0] * sides[1], longer: Math.max(...sides) };
  });
  return all
    .sort((a, b) => b.area - a.area)
    .filter(({ area, longer }) => longer >= least && area > 0)
    .slice(0, options.maxFaces ?? undefined)
    .map(({ found }) => found);
}

function clip(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
