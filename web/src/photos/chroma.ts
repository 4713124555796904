/**
 * The colours of a halved JPEG. Most JPEG files hold colours at half the size of the light. Python's decoder, when it
 * halves, takes them as they are; the browser's enlarges them by straight lines, and averaging that again blurs them.
 */

import type { Raster } from "../cv/raster.js";

const SIDE = 1 / 8; // what a colour takes from each neighbour by enlarging and averaging, in each direction

/** Takes that blur back, in place, but for its second order. */
export function unblurColours({ width, height, data }: Raster): void {
  const blue = new Float32Array(width * height);
  const red = new Float32Array(width * height);
  for (let at = 0, from = 0; at < blue.length; at += 1, from += 3) {
    const [r, g, b] = [data[from]!, data[from + 1]!, data[from + 2]!];
    blue[at] = -0.168736 * r - 0.331264 * g + 0.5 * b;
    red[at] = 0.5 * r - 0.418688 * g - 0.081312 * b;
  }
  const [blueBlurred, redBlurred] = [blurred(blue, width, height), blurred(red, width, height)];
  const to = new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
  for (let at = 0, place = 0; at < blue.length; at += 1, place += 3) {
    const cb = blue[at]! - blueBlurred[at]!;
    const cr = red[at]! - redBlurred[at]!;
    to[place] = data[place]! + 1.402 * cr;
    to[place + 1] = data[place + 1]! - 0.344136 * cb - 0.714136 * cr;
    to[place + 2] = data[place + 2]! + 1.772 * cb;
  }
}

function blurred(plane: Float32Array, width: number, height: number): Float32Array {
  const across = new Float32Array(plane.length);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      const left = plane[x > 0 ? at - 1 : at]!;
      const right = plane[x + 1 < width ? at + 1 : at]!;
      across[at] = (1 - 2 * SIDE) * plane[at]! + SIDE * (left + right);
    }
  }
  const out = new Float32Array(plane.length);
  for (let y = 0, at = 0; y < height; y += 1) {
    const [above, below] = [y > 0 ? width : 0, y + 1 < height ? width : 0];
    for (let x = 0; x < width; x += 1, at += 1) {
      out[at] = (1 - 2 * SIDE) * across[at]! + SIDE * (across[at - above]! + across[at + below]!);
    }
  }
  return out;
}
