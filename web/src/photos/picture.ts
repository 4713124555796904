/** Pixels -> upright RGB of a sensible size, reduced as in Python's `mien.photos`. */

import { NotAnImage, UsageError } from "../errors.js";
import { blank, type Raster } from "../cv/raster.js";
import { unblurColours } from "./chroma.js";
import { resizeArea } from "../cv/resize.js";
import { round } from "../results.js";

/** A decoded photo, of which `pixels` may be a reduction; `width` and `height` are those of the full size. */
export interface Picture {
  readonly pixels: Raster;
  readonly width: number;
  readonly height: number;
  /** Whether the file ends before all of the picture has come. */
  readonly incomplete: boolean;
}

/** To which longer side a photo is reduced: null for full size, or `share` of its own longer side where that is more. */
export interface Fit {
  readonly side: number | null;
  readonly share: number;
}

/** A photo that can be read at any size, and more than once, until it is closed. */
export interface OpenPhoto {
  at(fit: Fit): Picture;
  close(): void;
}

/** Longer side that big photos are reduced to unless something else is asked for. */
export const FIRST_SIDE = 2048;

/** Longer side that photos are reduced to; null for full size; "auto": what the smallest face looked for needs. */
export type TargetSide = number | null | "auto";

/** Limits on photos. */
export interface DecodeOptions {
  /** Width times height of the full-size photo, checked before decoding. */
  readonly maxPixels: number;
  /** Size of the encoded photo. */
  readonly maxBytes: number;
  readonly targetSide: TargetSide;
}

export const DECODE_DEFAULTS: DecodeOptions = { maxPixels: 50_000_000, maxBytes: 64 * 2 ** 20, targetSide: "auto" };

/** Pixels of the caller: RGB or RGBA bytes, row by row. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Refuse a limit below 1. */
export function checkDecode(options: DecodeOptions): void {
  for (const [name, value] of Object.entries(options) as [string, TargetSide][]) {
    if (value !== null && value !== "auto" && !(typeof value === "number" && value >= 1)) throw new UsageError(`${name} must be 1 or more, not ${value}`);
  }
}

/** Size of the pixels relative to the full-size photo, at most 1. */
export function scaleOf({ pixels, width, height }: Picture): number {
  return Math.max(pixels.width, pixels.height) / Math.max(width, height);
}

/** The side that a photo is to be reduced to. */
export function sideFor({ side, share }: Fit, longer: number): number | null {
  return side === null ? null : Math.max(side, round(share * longer));
}

/** Width and height with the longer one at most `side`. */
export function fitted(width: number, height: number, side: number | null): [number, number] {
  const longer = Math.max(width, height);
  if (side === null || longer <= side) return [width, height];
  return [Math.max(1, round((width * side) / longer)), Math.max(1, round((height * side) / longer))];
}

/** By which whole factor a photo is averaged at first, and its size in the end. */
export interface Reduction {
  /** By how much Python lets the JPEG decoder reduce; 1 where it does not. */
  draft: number;
  factor: number;
  size: [number, number];
}

// Python lets JPEG decode at 1/2, 1/4 or 1/8; a little less than the side wanted will do.
const ENOUGH = 0.9;
const DRAFTS = [8, 4, 2];

/** How a photo of this size comes to at most `side`, with the same sizes as in Python. */
export function reduction(width: number, height: number, side: number | null, jpeg: boolean): Reduction {
  let draft = 1;
  if (jpeg && side !== null) {
    const [wide, high] = fitted(width, height, round(side * ENOUGH));
    const least = Math.min(Math.floor(width / wide), Math.floor(height / high));
    draft = DRAFTS.find((times) => least >= times) ?? 1;
  }
  const [drafted, draftedHigh] = [Math.ceil(width / draft), Math.ceil(height / draft)];
  const size = fitted(drafted, draftedHigh, side);
  const more = Math.max(1, Math.min(Math.floor(drafted / size[0]), Math.floor(draftedHigh / size[1])));
  return { draft, factor: draft * more, size };
}

/** Reads a photo row by row: RGBA bytes of rows `top` to `bottom`. */
export type Rows = (top: number, bottom: number) => Uint8Array | Uint8ClampedArray;

const STRIP = 1 << 22; // pixels held at once beside the result

/** A photo reduced while it is read in strips, so that a large one is never in memory twice. */
export function reduce(
  rows: Rows,
  width: number,
  height: number,
  { draft, factor, size }: Reduction,
  halvedColours = false,
): Raster {
  const out = blank(Math.ceil(width / factor), Math.ceil(height / factor));
  const step = Math.max(1, Math.floor(STRIP / width / factor)) * factor;
  for (let top = 0; top < height; top += step) {
    const bottom = Math.min(top + step, height);
    const strip = rows(top, bottom);
    if (factor === 1) withoutAlpha(strip, out.data, 3 * top * width);
    else average(strip, width, bottom - top, factor, out, top / factor);
  }
  if (halvedColours && draft === 2 && factor === 2) unblurColours(out);
  return resizeArea(out, size[0], size[1]);
}

/** Squares of `factor` pixels, averaged; those at the right and lower edge hold fewer. */
function average(
  strip: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  factor: number,
  out: Raster,
  outTop: number,
): void {
  for (let y = 0; y * factor < height; y += 1) {
    const high = Math.min(factor, height - y * factor);
    for (let x = 0; x < out.width; x += 1) {
      const wide = Math.min(factor, width - x * factor);
      let [red, green, blue] = [0, 0, 0];
      for (let v = 0; v < high; v += 1) {
        let at = 4 * ((y * factor + v) * width + x * factor);
        for (let u = 0; u < wide; u += 1, at += 4) {
          red += strip[at]!;
          green += strip[at + 1]!;
          blue += strip[at + 2]!;
        }
      }
      const to = 3 * ((outTop + y) * out.width + x);
      const count = wide * high;
      out.data[to] = red / count + 0.5;
      out.data[to + 1] = green / count + 0.5;
      out.data[to + 2] = blue / count + 0.5;
    }
  }
}

/** RGBA -> RGB, written at `to`. */
function withoutAlpha(rgba: Uint8Array | Uint8ClampedArray, out: Uint8Array, to: number): void {
  for (let from = 0; from < rgba.length; from += 4, to += 3) {
    out[to] = rgba[from]!;
    out[to + 1] = rgba[from + 1]!;
    out[to + 2] = rgba[from + 2]!;
  }
}

/** The caller's pixels as a photo; transparency is laid on white. */
export function fromPixels({ data, width, height }: Pixels): OpenPhoto {
  const channels = data.length / (width * height);
  if (!(width >= 1 && height >= 1) || (channels !== 3 && channels !== 4)) {
    throw new NotAnImage(
      `pixels must be RGB or RGBA bytes, 3 or 4 a pixel: there are ${data.length} bytes for ${width} x ${height}`,
    );
  }
  const rows: Rows = (top, bottom) => {
    const part = data.subarray(channels * width * top, channels * width * bottom);
    return channels === 4 ? onWhite(part) : withAlpha(part);
  };
  return {
    at(fit) {
      const how = reduction(width, height, sideFor(fit, Math.max(width, height)), false);
      return { pixels: reduce(rows, width, height, how), width, height, incomplete: false };
    },
    close() {},
  };
}

function withAlpha(rgb: Uint8Array | Uint8ClampedArray): Uint8Array {
  const out = new Uint8Array((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    out[to] = rgb[from]!;
    out[to + 1] = rgb[from + 1]!;
    out[to + 2] = rgb[from + 2]!;
    out[to + 3] = 255;
  }
  return out;
}

function onWhite(rgba: Uint8Array | Uint8ClampedArray): Uint8Array | Uint8ClampedArray {
  let opaque = true;
  for (let at = 3; at < rgba.length && opaque; at += 4) opaque = rgba[at] === 255;
  if (opaque) return rgba;
  const out = new Uint8Array(rgba.length);
  for (let at = 0; at < rgba.length; at += 4) {
    const cover = rgba[at + 3]! / 255;
    for (let channel = 0; channel < 3; channel += 1) {
      out[at + channel] = cover * rgba[at + channel]! + 255 * (1 - cover) + 0.5;
    }
    out[at + 3] = 255;
  }
  return out;
}
