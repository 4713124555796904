/** Affine warps with bilinear sampling, as OpenCV's `warpAffine`; here coordinates count from pixel centres. */

import type { Raster } from "./raster.js";

/** [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f. */
export type Affine = readonly [number, number, number, number, number, number];

/**
 * A warped picture.
 *
 * @param inverse takes a pixel of the target to the place in the source that it shows
 * @param out bytes of the target, RGB
 * @param border "repeat" the border outside of the source, or "black"
 */
export function warp(
  source: Raster,
  inverse: Affine,
  width: number,
  height: number,
  out: Uint8Array,
  border: "repeat" | "black",
): void {
  const { data } = source;
  const right = source.width - 1;
  const bottom = source.height - 1;
  const row = 3 * source.width;
  const repeat = border === "repeat";
  const [a, b, c, d, e, f] = inverse;
  for (let v = 0, at = 0; v < height; v += 1) {
    for (let u = 0; u < width; u += 1, at += 3) {
      const x = a * u + b * v + c;
      const y = d * u + e * v + f;
      const left = Math.floor(x);
      const top = Math.floor(y);
      const fx = x - left;
      const fy = y - top;
      let w00 = (1 - fx) * (1 - fy);
      let w01 = fx * (1 - fy);
      let w10 = (1 - fx) * fy;
      let w11 = fx * fy;
      let x0 = left;
      let x1 = left + 1;
      let y0 = top;
      let y1 = top + 1;
      if (left < 0 || top < 0 || x1 > right || y1 > bottom) {
        if (!repeat) {
          if (x0 < 0 || x0 > right) w00 = w10 = 0;
          if (x1 < 0 || x1 > right) w01 = w11 = 0;
          if (y0 < 0 || y0 > bottom) w00 = w01 = 0;
          if (y1 < 0 || y1 > bottom) w10 = w11 = 0;
        }
        x0 = x0 < 0 ? 0 : x0 > right ? right : x0;
        x1 = x1 < 0 ? 0 : x1 > right ? right : x1;
        y0 = y0 < 0 ? 0 : y0 > bottom ? bottom : y0;
        y1 = y1 < 0 ? 0 : y1 > bottom ? bottom : y1;
      }
      const p00 = y0 * row + 3 * x0;
      const p01 = y0 * row + 3 * x1;
      const p10 = y1 * row + 3 * x0;
      const p11 = y1 * row + 3 * x1;
      out[at] = w00 * data[p00]! + w01 * data[p01]! + w10 * data[p10]! + w11 * data[p11]! + 0.5;
      out[at + 1] = w00 * data[p00 + 1]! + w01 * data[p01 + 1]! + w10 * data[p10 + 1]! + w11 * data[p11 + 1]! + 0.5;
      out[at + 2] = w00 * data[p00 + 2]! + w01 * data[p01 + 2]! + w10 * data[p10 + 2]! + w11 * data[p11 + 2]! + 0.5;
    }
  }
}

/** The inverse of an affine map. */
export function invert([a, b, c, d, e, f]: Affine): Affine {
  const determinant = a * e - b * d;
  const [i, j, k, l] = [e / determinant, -b / determinant, -d / determinant, a / determinant];
  return [i, j, -(i * c + j * f), k, l, -(k * c + l * f)];
}
