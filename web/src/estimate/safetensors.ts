/** Single tensors of a safetensors file. */

import { ModelError } from "../errors.js";

interface Entry {
  dtype: string;
  data_offsets: [number, number];
}

/** A tensor's numbers, row by row. */
export function readTensor(file: Uint8Array, name: string): Float64Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let entry: Entry | undefined;
  let start = 0;
  try {
    const length = Number(view.getBigUint64(0, true));
    start = 8 + length;
    entry = (JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as Record<string, Entry>)[name];
  } catch {
    throw new ModelError("the weights of the model are no safetensors file");
  }
  if (!entry) throw new ModelError(`the weights of the model hold no ${name}`);
  const [from, to] = entry.data_offsets.map((offset) => start + offset) as [number, number];
  switch (entry.dtype) {
    case "F16":
      return Float64Array.from({ length: (to - from) / 2 }, (_, k) => half(view.getUint16(from + 2 * k, true)));
    case "F32":
      return Float64Array.from({ length: (to - from) / 4 }, (_, k) => view.getFloat32(from + 4 * k, true));
    case "F64":
      return Float64Array.from({ length: (to - from) / 8 }, (_, k) => view.getFloat64(from + 8 * k, true));
    default:
      throw new ModelError(`the weights ${name} of the model are of the unknown type ${entry.dtype}`);
  }
}

/** A number of 16 bits (IEEE 754). */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
