/** A picture in memory: RGB bytes, row by row, without padding. */

export interface Raster {
  readonly width: number;
  readonly height: number;
  /** RGB, `3 * width * height` bytes. */
  readonly data: Uint8Array;
}

/** A black picture. */
export function blank(width: number, height: number): Raster {
  return { width, height, data: new Uint8Array(3 * width * height) };
}

/** A part of a picture, copied: `left` to `right` and `top` to `bottom`, the latter not in it. */
export function part(source: Raster, left: number, top: number, right: number, bottom: number): Raster {
  const out = blank(right - left, bottom - top);
  for (let y = top; y < bottom; y += 1) {
    const start = 3 * (y * source.width + left);
    out.data.set(source.data.subarray(start, start + 3 * out.width), 3 * (y - top) * out.width);
  }
  return out;
}

/** The picture with more columns at its right and rows at its end, which repeat the border. */
export function extend(source: Raster, columns: number, rows: number): Raster {
  if (columns === 0 && rows === 0) return source;
  const out = blank(source.width + columns, source.height + rows);
  for (let y = 0; y < out.height; y += 1) {
    const from = 3 * Math.min(y, source.height - 1) * source.width;
    const to = 3 * y * out.width;
    out.data.set(source.data.subarray(from, from + 3 * source.width), to);
    const last = from + 3 * (source.width - 1);
    for (let x = source.width; x < out.width; x += 1) {
      out.data[to + 3 * x] = source.data[last]!;
      out.data[to + 3 * x + 1] = source.data[last + 1]!;
      out.data[to + 3 * x + 2] = source.data[last + 2]!;
    }
  }
  return out;
}

/** The picture in a black frame. */
export function frame(source: Raster, across: number, down: number): Raster {
  if (across === 0 && down === 0) return source;
  const out = blank(source.width + 2 * across, source.height + 2 * down);
  for (let y = 0; y < source.height; y += 1) {
    const row = source.data.subarray(3 * y * source.width, 3 * (y + 1) * source.width);
    out.data.set(row, 3 * ((y + down) * out.width + across));
  }
  return out;
}

/** The picture mirrored left to right. */
export function mirror(source: Raster): Raster {
  const { width, height, data } = source;
  const out = blank(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = 3 * (y * width + x);
      const to = 3 * (y * width + width - 1 - x);
      out.data[to] = data[from]!;
      out.data[to + 1] = data[from + 1]!;
      out.data[to + 2] = data[from + 2]!;
    }
  }
  return out;
}

/** The picture turned clockwise by quarters. */
export function turned({ width, height, data }: Raster, degrees: 90 | 180 | 270): Raster {
  const out = degrees === 180 ? blank(width, height) : blank(height, width);
  // Where the pixel at the source's left upper corner goes, and how far the next across and down lie from it.
  const [start, across, down] = {
    90: [out.width - 1, out.width, -1] as const,
    180: [width * height - 1, -1, -width] as const,
    270: [out.width * (out.height - 1), -out.width, 1] as const,
  }[degrees];
  for (let y = 0, from = 0; y < height; y += 1) {
    for (let x = 0, to = 3 * (start + y * down); x < width; x += 1, from += 3, to += 3 * across) {
      out.data[to] = data[from]!;
      out.data[to + 1] = data[from + 1]!;
      out.data[to + 2] = data[from + 2]!;
    }
  }
  return out;
}

/** Luma of each pixel, 0 to 255, with OpenCV's weights for RGB. */
export function grey({ width, height, data }: Raster): Uint8Array {
  const out = new Uint8Array(width * height);
  for (let at = 0, from = 0; at < out.length; at += 1, from += 3) {
    out[at] = (9798 * data[from]! + 19235 * data[from + 1]! + 3735 * data[from + 2]! + 16384) >> 15;
  }
  return out;
}
