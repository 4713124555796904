/** Gaussian blur as OpenCV does it, on planes of floats. */

export type Border = "reflect" | "repeat";

/** Which pixel stands in for one outside of a line of `size`. */
function inside(at: number, size: number, border: Border): number {
  if (size === 1) return 0;
  if (border === "repeat") return Math.min(Math.max(at, 0), size - 1);
  const period = 2 * (size - 1);
  const folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

/** Weights of the bell, odd in number; OpenCV takes 3 deviations to a side for bytes, 4 for floats. */
export function bell(sigma: number, reach: number): Float64Array {
  const taps = Math.round(sigma * reach * 2 + 1) | 1;
  const middle = (taps - 1) / 2;
  const weights = Float64Array.from({ length: taps }, (_, at) => Math.exp(-((at - middle) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * A blurred plane.
 *
 * @param plane [height, width] values
 * @param reach deviations that the bell reaches to either side: 3 as for bytes, 4 as for floats
 */
export function gaussian(
  plane: ArrayLike<number>,
  width: number,
  height: number,
  sigma: number,
  reach: 3 | 4,
  border: Border,
): Float32Array {
  const weights = bell(sigma, reach);
  const middle = (weights.length - 1) / 2;
  const across = new Float32Array(width * height);
  const columns = places(width, middle, border);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap += 1) sum += weights[tap]! * plane[y * width + columns[x + tap]!]!;
      across[y * width + x] = sum;
    }
  }
  const out = new Float32Array(width * height);
  const rows = places(height, middle, border);
  for (let y = 0; y < height; y += 1) {
    for (let tap = 0; tap < weights.length; tap += 1) {
      const weight = weights[tap]!;
      const from = rows[y + tap]! * width;
      for (let x = 0; x < width; x += 1) out[y * width + x]! += weight * across[from + x]!;
    }
  }
  return out;
}

function places(size: number, middle: number, border: Border): Int32Array {
  return Int32Array.from({ length: size + 2 * middle }, (_, at) => inside(at - middle, size, border));
}

/** Standard deviation of the difference of two planes. */
export function deviation(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += a[at]! - b[at]!;
  const mean = sum / a.length;
  let squares = 0;
  for (let at = 0; at < a.length; at += 1) squares += (a[at]! - b[at]! - mean) ** 2;
  return Math.sqrt(squares / a.length);
}
