/** Maps of contributions: what is explained, in which unit, and compared with what; Python's `mien.estimate.maps`. */

import { gaussian } from "../cv/blur.js";
import { blank, type Raster } from "../cv/raster.js";
import { clamped } from "../cv/resize.js";
import { expectation, logit } from "./calibrate.js";
import type { Estimate } from "./estimator.js";

export type Target = "age" | "gender";

export const UNITS: Readonly<Record<Target, string>> = { age: "years", gender: "log-odds of female" };

const VEIL = 1 / 16; // spread of the blur, as a share of the chip's side

/** A map [height, width]. */
export interface Cells {
  readonly height: number;
  readonly width: number;
  readonly data: Float64Array;
}

/** What is explained: expected age in years, or log-odds of "female". */
export function valueOf({ pmf, female }: Estimate, target: Target): number {
  return target === "age" ? expectation(pmf) : logit(female);
}

/** A copy of a chip without its detail. */
export function veiled(chip: Raster): Raster {
  const { width, height, data } = chip;
  const out = blank(width, height);
  const to = clamped(out);
  const plane = new Uint8Array(width * height);
  for (let channel = 0; channel < 3; channel += 1) {
    for (let at = 0; at < plane.length; at += 1) plane[at] = data[3 * at + channel]!;
    const blurred = gaussian(plane, width, height, VEIL * height, 3, "repeat");
    for (let at = 0; at < plane.length; at += 1) to[3 * at + channel] = blurred[at]!;
  }
  return out;
}

/** A map at a resolution of `size` pixels: the value of each cell laid over a bell of `spread` cells. */
export function laidOut(cells: Cells, size: number, spread: number): Float64Array {
  const down = bells(cells.height, size, spread);
  const across = bells(cells.width, size, spread);
  const rows = new Float64Array(size * cells.width);
  for (let y = 0; y < size; y += 1) {
    for (let row = 0; row < cells.height; row += 1) {
      const weight = down[y * cells.height + row]!;
      for (let x = 0; x < cells.width; x += 1) rows[y * cells.width + x]! += weight * cells.data[row * cells.width + x]!;
    }
  }
  const out = new Float64Array(size * size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      let sum = 0;
      for (let column = 0; column < cells.width; column += 1) {
        sum += rows[y * cells.width + column]! * across[x * cells.width + column]!;
      }
      out[y * size + x] = sum;
    }
  }
  return out;
}

function bells(count: number, size: number, spread: number): Float64Array {
  return Float64Array.from({ length: size * count }, (_, at) => {
    const away = ((Math.floor(at / count) + 0.5) * count) / size - ((at % count) + 0.5);
    return Math.exp(-(away ** 2) / (2 * spread ** 2)) / (spread * Math.sqrt(2 * Math.PI));
  });
}
