/** The crop contract, and cutting a face out of a photo so that it holds; Python's `mien.faces.align`. */

import { blank, extend, part, type Raster } from "../cv/raster.js";
import { averageSquares, resizeArea, resizeLinear } from "../cv/resize.js";
import { invert, warp, type Affine } from "../cv/warp.js";
import type { Box, Point } from "../results.js";
import type { Detection } from "./detection.js";

/** Geometry of a chip: its side in pixels, and where the five points lie on it. */
export interface CropContract {
  readonly size: number;
  readonly landmarks: readonly Point[];
}

const UTKFACE_POINTS: readonly Point[] = [
  [59.9, 56.9],
  [140.1, 56.9],
  [100, 105.3],
  [64.2, 139.8],
  [135.8, 139.8],
];
const BOX_CENTRE: Point = [100, 83.5];
const BOX_SIDE = 216;
const CLOSE = 1e-6;

/** Cut one face: an RGB chip of the contract's size; what lies outside the photo repeats its border. */
export function align(picture: Raster, detection: Detection, contract: CropContract): Raster {
  const points = detection.landmarks ?? pointsInBox(detection.box);
  return cut(picture, similarity(points, contract.landmarks), contract.size);
}

/** The similarity that brings points nearest to others, in least squares, without mirroring (Umeyama, 1991). */
export function similarity(source: readonly Point[], target: readonly Point[]): Affine {
  const [cx, cy] = centre(source);
  const [gx, gy] = centre(target);
  let [spread, dot, cross] = [0, 0, 0];
  source.forEach(([x, y], k) => {
    const [ax, ay] = [x - cx, y - cy];
    const [bx, by] = [target[k]![0] - gx, target[k]![1] - gy];
    spread += ax * ax + ay * ay;
    dot += ax * bx + ay * by;
    cross += ax * by - ay * bx;
  });
  let [cosine, sine] = spread === 0 ? [1, 0] : [dot / spread, cross / spread];
  if (Math.hypot(cosine, sine) === 0) [cosine, sine] = [1, 0];
  return [cosine, -sine, gx - (cosine * cx - sine * cy), sine, cosine, gy - (sine * cx + cosine * cy)];
}

/**
 * Picture under a similarity, cut to [size, size] at the origin, in one interpolation.
 *
 * What is shrunk by whole factors is averaged first, and what is left to shrink, less than by two, is sampled four
 * times a chip pixel and averaged: plain bilinear sampling would show grain that is not in the face.
 */
export function cut(picture: Raster, matrix: Affine, size: number): Raster {
  const [a, b, c, d, e, f] = matrix;
  const scale = Math.hypot(a, d);
  const square = Math.max(Math.floor(1 / scale + CLOSE), 1);
  const { pixels, left, top } = averaged(picture, matrix, size, square);
  const shift = [c + a * left + b * top, f + d * left + e * top] as const;
  const samples = scale * square < 1 - CLOSE ? 2 : 1;
  const [la, lb, ld, le] = [a * square, b * square, d * square, e * square];
  // The warp counts from pixel centres, (0, 0) being that of the first pixel: half a pixel off on either side.
  const centred: Affine = [
    samples * la,
    samples * lb,
    samples * (0.5 * la + 0.5 * lb + shift[0]) - 0.5,
    samples * ld,
    samples * le,
    samples * (0.5 * ld + 0.5 * le + shift[1]) - 0.5,
  ];
  const fine = blank(size * samples, size * samples);
  warp(pixels, invert(centred), fine.width, fine.height, fine.data, "repeat");
  return samples > 1 ? averageSquares(fine, samples, samples) : fine;
}

/** The part of a photo under a chip, averaged over squares of `square` pixels, and its top left corner. */
function averaged(
  picture: Raster,
  matrix: Affine,
  size: number,
  square: number,
): { pixels: Raster; left: number; top: number } {
  const [a, b, c, d, e, f] = invert(matrix);
  const corners = [0, size].flatMap((x) => [0, size].map((y): Point => [a * x + b * y + c, d * x + e * y + f]));
  const [x0, x1] = range(corners.map(([x]) => x), square, picture.width);
  const [y0, y1] = range(corners.map(([, y]) => y), square, picture.height);
  let pixels = part(picture, x0, y0, x1, y1);
  if (square > 1) {
    const lacking = (length: number): number => (square - (length % square)) % square;
    pixels = extend(pixels, lacking(x1 - x0), lacking(y1 - y0));
    pixels = averageSquares(pixels, square, square);
  }
  return { pixels, left: x0, top: y0 };
}

function range(values: number[], margin: number, limit: number): [number, number] {
  const low = Math.min(Math.max(Math.floor(Math.min(...values)) - margin, 0), limit - 1);
  return [low, Math.min(Math.max(Math.ceil(Math.max(...values)) + margin, low + 1), limit)];
}

/** The five points that a frontal face in this box has on average. */
export function pointsInBox({ left, top, right, bottom }: Box): Point[] {
  const unit = (right - left + (bottom - top)) / 2 / BOX_SIDE;
  const x0 = (left + right) / 2 - BOX_CENTRE[0] * unit;
  const y0 = (top + bottom) / 2 - BOX_CENTRE[1] * unit;
  return UTKFACE_POINTS.map(([x, y]): Point => [x0 + x * unit, y0 + y * unit]);
}

/** A picture that is an aligned chip already, at the size of the contract. */
export function resizeChip(picture: Raster, { size }: CropContract): Raster {
  if (picture.width === size && picture.height === size) return picture;
  const shrinks = Math.min(picture.width, picture.height) >= size;
  return (shrinks ? resizeArea : resizeLinear)(picture, size, size);
}

function centre(points: readonly Point[]): Point {
  const sum = points.reduce<Point>(([a, b], [x, y]) => [a + x, b + y], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}
