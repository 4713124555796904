/** Parts of a face on an aligned chip, told by the five points of the crop contract. */

import type { CropContract } from "./align.js";

/** Left and right as seen in the picture. */
export const REGIONS = [
  "forehead",
  "left eye",
  "right eye",
  "nose",
  "left cheek",
  "right cheek",
  "mouth",
  "chin",
] as const;

export type RegionName = (typeof REGIONS)[number];

// In distances from eye to eye.
const BAND = 0.26;
const NOSE = 0.3;
const BESIDE = 0.15;

/** The part that each pixel of a chip belongs to: [S, S], an index into `REGIONS`. */
export function regions({ size, landmarks }: CropContract): Uint8Array {
  const [left, right, nose, leftCorner, rightCorner] = landmarks as [
    [number, number],
    [number, number],
    [number, number],
    [number, number],
    [number, number],
  ];
  const unit = Math.hypot(right[0] - left[0], right[1] - left[1]);
  const eyes = (left[1] + right[1]) / 2;
  const mouth = (leftCorner[1] + rightCorner[1]) / 2;
  const lips = (nose[1] + mouth) / 2;
  const name = (x: number, y: number): RegionName => {
    if (y < eyes - BAND * unit) return "forehead";
    if (y >= mouth + BAND * unit) return "chin";
    const onLeft = x < nose[0];
    if (y < eyes + BAND * unit) return onLeft ? "left eye" : "right eye";
    const cheek = onLeft ? "left cheek" : "right cheek";
    if (y < lips) return Math.abs(x - nose[0]) < NOSE * unit ? "nose" : cheek;
    const inMouth = x >= leftCorner[0] - BESIDE * unit && x < rightCorner[0] + BESIDE * unit;
    return inMouth ? "mouth" : cheek;
  };
  const labels = new Uint8Array(size * size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) labels[y * size + x] = REGIONS.indexOf(name(x + 0.5, y + 0.5));
  }
  return labels;
}
