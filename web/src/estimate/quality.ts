/** How good a view of a face the model gets; Python's `mien.estimate.quality`. */

import { deviation, gaussian } from "../cv/blur.js";
import { grey, type Raster } from "../cv/raster.js";
import { similarity, type CropContract } from "../faces/align.js";
import type { Flag, Point, Quality } from "../results.js";

export const SMALLEST = 16;
export const DULLEST = 0.14;
export const MOST_TURNED = 35;
/** Years that the 90 % interval of a face has at most, lest it be "vague". */
const WIDEST = 60;
const NOSE_DEPTH = 0.6;

/** Quality of one face, from its chip, the pixels between its eyes and its degrees of turn. */
export function judge(chip: Raster, eyes: number, turned: number | null): Quality {
  const sharp = sharpness(chip);
  const found: [Flag, boolean][] = [
    ["small", eyes < SMALLEST],
    ["blurred", sharp < DULLEST],
    ["turned", turned !== null && Math.abs(turned) > MOST_TURNED],
  ];
  return { eyes, sharpness: sharp, turn: turned, flags: found.filter(([, holds]) => holds).map(([flag]) => flag) };
}

/** The quality with the flag "vague" where the 90 % interval is so many years wide. */
export function marked(quality: Quality, width: number): Quality {
  return width > WIDEST ? { ...quality, flags: [...quality.flags, "vague"] } : quality;
}

/** Pixels between the eyes that this face would have if it looked at the camera. */
export function eyeDistance(landmarks: readonly Point[], contract: CropContract): number {
  const [a, , , d] = similarity(landmarks, contract.landmarks);
  return eyesOf(contract) / Math.hypot(a, d);
}

/** The same for a picture of `side` pixels that is an aligned chip already. */
export function eyeDistanceOfChip(side: number, contract: CropContract): number {
  return (eyesOf(contract) * side) / contract.size;
}

function eyesOf({ landmarks }: CropContract): number {
  const [left, right] = landmarks as [Point, Point];
  return Math.hypot(left[0] - right[0], left[1] - right[1]);
}

/** About how many degrees a face is turned, from where the nose lies between eyes and mouth. */
export function turn(landmarks: readonly Point[]): number {
  const [le, re, nose, lm, rm] = landmarks as [Point, Point, Point, Point, Point];
  const eyes = [(le[0] + re[0]) / 2, (le[1] + re[1]) / 2] as const;
  const mouth = [(lm[0] + rm[0]) / 2, (lm[1] + rm[1]) / 2] as const;
  const down = [mouth[0] - eyes[0], mouth[1] - eyes[1]] as const;
  const height = Math.hypot(down[0], down[1]);
  if (height === 0) return 90;
  const right = [down[1] / height, -down[0] / height] as const;
  const offset = (nose[0] - (eyes[0] + mouth[0]) / 2) * right[0] + (nose[1] - (eyes[1] + mouth[1]) / 2) * right[1];
  return (Math.asin(Math.max(-1, Math.min(1, offset / (NOSE_DEPTH * height)))) * 180) / Math.PI;
}

/** Fine detail in the inner part of a chip, as a share of the coarser detail there. */
export function sharpness(chip: Raster): number {
  const side = chip.height;
  const light = grey(chip);
  const border = Math.floor(side / 8);
  const unit = Math.max(0.5, side / 192);
  const size = side - 2 * border;
  const inner = new Float32Array(size * size);
  for (let y = 0; y < size; y += 1) {
    const start = (y + border) * side + border;
    inner.set(light.subarray(start, start + size), y * size);
  }
  const [fine, middle, coarse] = [1, 2, 8].map((blur) => gaussian(inner, size, size, blur * unit, 4, "reflect"));
  const rest = deviation(middle!, coarse!);
  return rest < 1e-3 ? 0 : deviation(fine!, middle!) / rest;
}
