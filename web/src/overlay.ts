/** A map of an explanation over its face: orange speaks for older or female, blue for the other; Python's `overlay`. */

import { grey, type Raster } from "./cv/raster.js";
import { resizeLinear } from "./cv/resize.js";
import { laidOut } from "./estimate/maps.js";
import type { Explanation } from "./estimate/explain.js";

const BLUE = [0, 90, 181] as const;
const ORANGE = [220, 90, 0] as const;
const STRONGEST = 0.85; // opacity of the strongest place

/** RGBA pixels of `side` by `side`: grey where nothing contributes. */
export function heat(chip: Raster, { map, spread }: Explanation, side: number): Uint8ClampedArray<ArrayBuffer> {
  const cells = { height: map.length, width: map[0]!.length, data: Float64Array.from(map.flat()) };
  const weights = laidOut(cells, side, spread);
  const light = grey(resizeLinear(chip, side, side));
  const strongest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0) || 1;
  const out = new Uint8ClampedArray(4 * side * side);
  weights.forEach((weight, at) => {
    const below = 60 + 0.76 * light[at]!; // neither black nor white, so that a tint shows everywhere
    const cover = (STRONGEST * Math.abs(weight)) / strongest;
    const tint = weight >= 0 ? ORANGE : BLUE;
    for (let channel = 0; channel < 3; channel += 1) {
      const shaded = tint[channel]! * (0.45 + (0.55 * below) / 255) + 0.12 * (below - 128);
      out[4 * at + channel] = (1 - cover) * below + cover * shaded;
    }
    out[4 * at + 3] = 255;
  });
  return out;
}
