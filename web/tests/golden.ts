/** The golden values, made by golden.py from the real Python code. */

import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import type { Raster } from "../src/cv/raster.js";
import type { Photo } from "../src/results.js";

export interface Packed {
  shape: number[];
  kind: "u1" | "f8";
  data: string;
}

/** Numbers of any kind; tests read what golden.py wrote. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Golden = any;

export const golden: Golden = JSON.parse(readFileSync(process.env.MIEN_GOLDEN!, "utf8"));

export function unpack({ kind, data }: Packed): Uint8Array<ArrayBuffer> | Float64Array {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return kind === "u1" ? bytes : new Float64Array(bytes.buffer);
}

export function floats(packed: Packed): Float32Array {
  return Float32Array.from(unpack(packed));
}

export function raster(packed: Packed): Raster {
  return { height: packed.shape[0]!, width: packed.shape[1]!, data: unpack(packed) as Uint8Array };
}

/** An answer without faces, but for what is given. */
export function emptyPhoto(some: Partial<Photo> = {}): Photo {
  const size = { width: 99, height: 99, scale: 1, turned: 0, incomplete: false } as const;
  return { schema_version: 1, source: "a", model: "b", ...size, faces: [], error: null, ...some };
}

/** Numbers that may differ by so much. */
export function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what = ""): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  let worst = 0;
  let at = 0;
  for (let k = 0; k < actual.length; k += 1) {
    const away = Math.abs(actual[k]! - expected[k]!);
    if (!(away <= worst)) [worst, at] = [away, k];
  }
  assert.ok(worst <= tolerance, `${what}: [${at}] is ${actual[at]}, expected ${expected[at]}, off by ${worst}`);
}

/** Pictures that may differ by a level of brightness here and there, and on average by next to nothing. */
export function alike(actual: Raster, expected: Raster, what = "", mean = 0.02): void {
  assert.deepEqual([actual.width, actual.height], [expected.width, expected.height], what);
  near(actual.data, expected.data, 1, what);
  const off = actual.data.reduce((sum, value, k) => sum + Math.abs(value - expected.data[k]!), 0) / actual.data.length;
  assert.ok(off < mean, `${what}: ${off} levels off on average`);
}
