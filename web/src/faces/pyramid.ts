/** A picture halved again and again, so that shrinking any part of it costs little and does not alias. */

import { extend, type Raster } from "../cv/raster.js";
import { averageSquares, resizeArea } from "../cv/resize.js";
import { warp } from "../cv/warp.js";
import { round } from "../results.js";

/** Octave k is the picture averaged over squares of 2^k pixels. */
export class Pyramid {
  readonly width: number;
  readonly height: number;
  readonly octaves: readonly Raster[];

  /** Halves until neither side is longer than `smallest`. */
  constructor(picture: Raster, smallest: number) {
    this.width = picture.width;
    this.height = picture.height;
    const octaves = [picture];
    for (let last = picture; Math.max(last.width, last.height) > smallest; ) {
      last = averageSquares(extend(last, last.width % 2, last.height % 2), 2, 2);
      octaves.push(last);
    }
    this.octaves = octaves;
  }

  /** The whole picture at this size, from the smallest octave that is at least as large. */
  shrink(width: number, height: number): Raster {
    const times = Math.max(Math.min(this.width / width, this.height / height), 1);
    const octave = Math.min(Math.floor(Math.log2(times)), this.octaves.length - 1);
    return resizeArea(this.octaves[octave]!, width, height);
  }

  /**
   * Square parts, each brought to `size` pixels in one bilinear warp; black outside the picture.
   *
   * @param squares [N, 4] left, top, right, bottom
   * @returns RGB [N, size, size, 3]
   */
  crop(squares: Float32Array, size: number): Uint8Array {
    const count = squares.length / 4;
    const bytes = 3 * size * size;
    const crops = new Uint8Array(count * bytes);
    for (let k = 0; k < count; k += 1) {
      const left = squares[4 * k]!;
      const top = squares[4 * k + 1]!;
      const step = Math.max(squares[4 * k + 2]! - left, 1) / size;
      const octave = Math.min(Math.max(round(Math.log2(step)), 0), this.octaves.length - 1);
      const unit = 2 ** octave;
      const inverse = [
        step / unit,
        0,
        (left + step / 2) / unit - 0.5,
        0,
        step / unit,
        (top + step / 2) / unit - 0.5,
      ] as const;
      warp(this.octaves[octave]!, inverse, size, size, crops.subarray(k * bytes, (k + 1) * bytes), "black");
    }
    return crops;
  }
}
