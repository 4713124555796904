/** Resizing as OpenCV does it: by area where a picture shrinks, by straight lines where it grows. */

import { blank, type Raster } from "./raster.js";

/** Where each target pixel lies in the source, and with which weights. */
interface Table {
  /** Source pixel of each entry. */
  from: Int32Array;
  /** Target pixel of each entry, ascending. */
  to: Int32Array;
  weight: Float32Array;
}

/** Area-averaged; neither side may grow. */
export function resizeArea(source: Raster, width: number, height: number): Raster {
  const across = source.width / width;
  const down = source.height / height;
  if (width === source.width && height === source.height) return source;
  if (Number.isInteger(across) && Number.isInteger(down)) return averageSquares(source, across, down);
  return weighted(source, width, height, areaTable(source.width, width), areaTable(source.height, height));
}

/** Averaged over rectangles of whole pixels, as large as given; their sides must divide those of the picture. */
export function averageSquares(source: Raster, across: number, down: number): Raster {
  const width = source.width / across;
  const height = source.height / down;
  const out = blank(width, height);
  const { data } = source;
  const row = 3 * source.width;
  const to = clamped(out);
  if (across === 2 && down === 2) {
    for (let y = 0, at = 0; y < height; y += 1) {
      for (let x = 0, from = 2 * y * row; x < width; x += 1, from += 6, at += 3) {
        to[at] = (data[from]! + data[from + 3]! + data[from + row]! + data[from + row + 3]! + 2) >> 2;
        to[at + 1] = (data[from + 1]! + data[from + 4]! + data[from + row + 1]! + data[from + row + 4]! + 2) >> 2;
        to[at + 2] = (data[from + 2]! + data[from + 5]! + data[from + row + 2]! + data[from + row + 5]! + 2) >> 2;
      }
    }
    return out;
  }
  const scale = 1 / (across * down);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 3) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let v = 0; v < down; v += 1) {
        let from = (y * down + v) * row + 3 * x * across;
        for (let u = 0; u < across; u += 1, from += 3) {
          red += data[from]!;
          green += data[from + 1]!;
          blue += data[from + 2]!;
        }
      }
      to[at] = red * scale;
      to[at + 1] = green * scale;
      to[at + 2] = blue * scale;
    }
  }
  return out;
}

/** Straight lines between the middles of pixels. */
export function resizeLinear(source: Raster, width: number, height: number): Raster {
  return weighted(source, width, height, linearTable(source.width, width), linearTable(source.height, height));
}

/** The bytes of a picture, to be written as numbers, which are rounded to the nearest, and to even ones, as in OpenCV. */
export function clamped({ data }: Raster): Uint8ClampedArray {
  return new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
}

/** Any separable resizing: rows first across, then added up downwards. */
function weighted(source: Raster, width: number, height: number, across: Table, down: Table): Raster {
  const out = blank(width, height);
  const to = clamped(out);
  const line = new Float32Array(3 * width);
  const sum = new Float32Array(3 * width);
  let lineOf = -1;
  for (let entry = 0; entry < down.to.length; entry += 1) {
    const y = down.from[entry]!;
    if (y !== lineOf) {
      acrossRow(source, y, across, line);
      lineOf = y;
    }
    const weight = down.weight[entry]!;
    const target = down.to[entry]!;
    if (entry === 0 || down.to[entry - 1] !== target) sum.fill(0);
    for (let at = 0; at < sum.length; at += 1) sum[at]! += weight * line[at]!;
    if (entry + 1 === down.to.length || down.to[entry + 1] !== target) {
      const start = 3 * target * width;
      for (let at = 0; at < sum.length; at += 1) to[start + at] = sum[at]!;
    }
  }
  return out;
}

function acrossRow({ width, data }: Raster, y: number, table: Table, line: Float32Array): void {
  line.fill(0);
  const start = 3 * y * width;
  for (let entry = 0; entry < table.to.length; entry += 1) {
    const from = start + 3 * table.from[entry]!;
    const to = 3 * table.to[entry]!;
    const weight = table.weight[entry]!;
    line[to]! += weight * data[from]!;
    line[to + 1]! += weight * data[from + 1]!;
    line[to + 2]! += weight * data[from + 2]!;
  }
}

function table(entries: [from: number, to: number, weight: number][]): Table {
  return {
    from: Int32Array.from(entries, (entry) => entry[0]),
    to: Int32Array.from(entries, (entry) => entry[1]),
    weight: Float32Array.from(entries, (entry) => entry[2]),
  };
}

const SLIVER = 1e-3; // parts of a pixel below this do not count, as in OpenCV

function areaTable(size: number, target: number): Table {
  const scale = size / target;
  const entries: [number, number, number][] = [];
  for (let to = 0; to < target; to += 1) {
    const begin = to * scale;
    const end = begin + scale;
    const cell = Math.min(scale, size - begin);
    const last = Math.min(Math.floor(end), size - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > SLIVER) entries.push([first - 1, to, (first - begin) / cell]);
    for (let from = first; from < last; from += 1) entries.push([from, to, 1 / cell]);
    if (end - last > SLIVER) entries.push([last, to, Math.min(Math.min(end - last, 1), cell) / cell]);
  }
  return table(entries);
}

function linearTable(size: number, target: number): Table {
  const scale = size / target;
  const entries: [number, number, number][] = [];
  for (let to = 0; to < target; to += 1) {
    const at = Math.min(Math.max((to + 0.5) * scale - 0.5, 0), size - 1);
    const from = Math.floor(at);
    const share = at - from;
    entries.push([from, to, 1 - share]);
    if (share > 0) entries.push([from + 1, to, share]);
  }
  return table(entries);
}
