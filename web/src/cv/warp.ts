/** Affine warps with bilinear sampling, as OpenCV's `warpAffine`; here coordinates count from pixel centres. */

import type { Raster } from "./raster.js";

/** [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f. */
export type Affine = readonly [number, number, number, number, number, number];

// OpenCV counts places in 1024ths of a pixel, and reads pixels at the nearest 32nd.
const FINE = 1024;
const HALF = 16;

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
    const lineX = Math.round((b * v + c) * FINE) + HALF;
    const lineY = Math.round((e * v + f) * FINE) + HALF;
    for (let u = 0; u < width; u += 1, at += 3) {
      const x = (lineX + Math.round(a * u * FINE)) >> 5; // in 32nds of a pixel
      const y = (lineY + Math.round(d * u * FINE)) >> 5;
      const fx = x & 31;
      const fy = y & 31;
      let w00 = (32 - fx) * (32 - fy);
      let w01 = fx * (32 - fy);
      let w10 = (32 - fx) * fy;
      let w11 = fx * fy;
      let x0 = x >> 5;
      let x1 = x0 + 1;
      let y0 = y >> 5;
      let y1 = y0 + 1;
      if (x0 < 0 || y0 < 0 || x1 > right || y1 > bottom) {
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
      for (let k = 0; k < 3; k += 1) {
        const sum = w00 * data[p00 + k]! + w01 * data[p01 + k]! + w10 * data[p10 + k]! + w11 * data[p11 + k]!;
        out[at + k] = (sum + 512) >> 10;
      }
    }
  }
}

/** The inverse of an affine map. */
export function invert([a, b, c, d, e, f]: Affine): Affine {
  const determinant = a * e - b * d;
  const [i, j, k, l] = [e / determinant, -b / determinant, -d / determinant, a / determinant];
  return [i, j, -(i * c + j * f), k, l, -(k * c + l * f)];
}
