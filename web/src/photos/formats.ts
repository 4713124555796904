/** Which kind of file some bytes are, how large the picture is, and whether it is all there; Python's `formats`. */

import { NotAnImage, PhotoUnsupported, type PhotoError } from "../errors.js";

export type Format = "JPEG" | "PNG" | "GIF" | "WEBP" | "BMP" | "TIFF" | "AVIF" | "HEIF" | "PNM";

export const READABLE = "JPEG, PNG, GIF, WebP, BMP or AVIF";

const MAGIC: [string, Format][] = [
  ["\xff\xd8\xff", "JPEG"],
  ["\x89PNG\r\n\x1a\n", "PNG"],
  ["GIF87a", "GIF"],
  ["GIF89a", "GIF"],
  ["II*\0", "TIFF"],
  ["MM\0*", "TIFF"],
  ["II+\0", "TIFF"],
  ["MM\0+", "TIFF"],
];
const UNSUPPORTED: [string, string][] = [
  ["\0\0\0\x0cjP  ", "JPEG 2000"],
  ["\xff\x4f\xff\x51", "JPEG 2000"],
  ["\0\0\0\x0cJXL ", "JPEG XL"],
  ["\xff\x0a", "JPEG XL"],
  ["8BPS\0\x01", "Photoshop"],
  ["8BPS\0\x02", "large Photoshop (PSB)"],
  ["\0\0\x01\0", "icon"],
];
const OTHER: [string, string][] = [
  ["%PDF", "a PDF document"],
  ["%!PS", "a PostScript document"],
  ["PK\x03\x04", "a ZIP archive or an office document"],
  ["\x1f\x8b", "a gzip archive"],
  ["7z\xbc\xaf", "a 7-Zip archive"],
  ["Rar!", "a RAR archive"],
  ["<", "a web page or other XML text"],
  ["\xef\xbb\xbf<", "a web page or other XML text"],
];
const AVIF = new Set(["avif", "avis"]);
const HEIF = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"]);
const BMP_HEADERS = new Set([12, 40, 52, 56, 64, 108, 124]);
const BINARY = /[\0-\x08\x0e-\x1a\x1c-\x1f]/;

/** Name of the picture format that the first bytes announce; null for everything else. */
export function sniff(data: Uint8Array): Format | null {
  const head = latin(data, 0, 16);
  for (const [magic, name] of MAGIC) if (head.startsWith(magic)) return name;
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "WEBP";
  if (head.slice(4, 8) === "ftyp") return brand(data);
  if (head.startsWith("BM") && data.length >= 18 && BMP_HEADERS.has(view(data).getUint32(14, true))) return "BMP";
  return /^P[456]\s/.test(head) ? "PNM" : null;
}

function brand(data: Uint8Array): Format | null {
  const size = view(data).getUint32(0);
  const major = latin(data, 8, 12);
  const others: string[] = [];
  for (let at = 16; at < Math.min(size, 128); at += 4) others.push(latin(data, at, at + 4));
  if (AVIF.has(major) || (["mif1", "msf1"].includes(major) && others.some((one) => AVIF.has(one)))) return "AVIF";
  return HEIF.has(major) || others.some((one) => HEIF.has(one)) ? "HEIF" : null;
}

/** The error for bytes in which `sniff` sees no picture, with what they look like. */
export function rejection(data: Uint8Array): PhotoError {
  const head = latin(data, 0, 64);
  for (const [magic, name] of UNSUPPORTED) {
    if (head.startsWith(magic)) return new PhotoUnsupported(`${name} pictures cannot be read: save it as JPEG or PNG`);
  }
  const words = describe(data) ?? (BINARY.test(latin(data, 0, 4096)) ? "data of an unknown kind" : "plain text");
  return new NotAnImage(`this is no picture, it looks like ${words}: give a photo as ${READABLE}`);
}

function describe(data: Uint8Array): string | null {
  const start = latin(data, 0, 64).trimStart();
  const found = OTHER.find(([magic]) => start.startsWith(magic));
  if (found) return found[1];
  if (latin(data, 4, 8) !== "ftyp") return null;
  return ["M4A ", "M4B "].includes(latin(data, 8, 12)) ? "sound" : "a film";
}

/** Width and height that the header states, before anything is decoded; null where it is not looked for. */
export function statedSize(data: Uint8Array, format: Format): [width: number, height: number] | null {
  const bytes = view(data);
  try {
    switch (format) {
      case "PNG":
        return latin(data, 12, 16) === "IHDR" ? [bytes.getUint32(16), bytes.getUint32(20)] : null;
      case "GIF":
        return [bytes.getUint16(6, true), bytes.getUint16(8, true)];
      case "BMP":
        return bytes.getUint32(14, true) === 12
          ? [bytes.getUint16(18, true), bytes.getUint16(20, true)]
          : [Math.abs(bytes.getInt32(18, true)), Math.abs(bytes.getInt32(22, true))];
      case "WEBP":
        return webpSize(data, bytes);
      case "JPEG":
        return jpegFrame(data)?.size ?? null;
      case "AVIF":
        return avifSize(data, bytes);
      default:
        return null;
    }
  } catch {
    return null; // the header itself is cut short: the browser's decoder says so
  }
}

function webpSize(data: Uint8Array, bytes: DataView): [number, number] | null {
  const kind = latin(data, 12, 16);
  if (kind === "VP8X") {
    const three = (at: number): number => 1 + (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16));
    return [three(24), three(27)];
  }
  if (kind === "VP8 ") return [bytes.getUint16(26, true) & 0x3fff, bytes.getUint16(28, true) & 0x3fff];
  if (kind !== "VP8L") return null;
  const bits = bytes.getUint32(21, true);
  return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
}

/** The largest spatial extent (box "ispe") that the first bytes of an AVIF file state. */
function avifSize(data: Uint8Array, bytes: DataView): [number, number] | null {
  let best: [number, number] | null = null;
  for (let at = 4; at + 16 <= Math.min(data.length, 4096); at += 1) {
    if (latin(data, at, at + 4) !== "ispe") continue;
    const size: [number, number] = [bytes.getUint32(at + 8), bytes.getUint32(at + 12)];
    if (best === null || size[0] * size[1] > best[0] * best[1]) best = size;
  }
  return best;
}

/** Where the entropy-coded data of a JPEG begins, and its size; null where the headers break off. */
function jpegFrame(data: Uint8Array): { size: [number, number]; scan: number; sampling: number[] } | null {
  let size: [number, number] | null = null;
  let sampling: number[] = [];
  for (let at = 2; at + 4 <= data.length; ) {
    if (data[at] !== 0xff) {
      at += 1;
      continue;
    }
    const marker = data[at + 1]!;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0x01 || marker === 0 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
      continue;
    }
    const length = (data[at + 2]! << 8) | data[at + 3]!;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker) && at + 9 <= data.length) {
      size ??= [(data[at + 7]! << 8) | data[at + 8]!, (data[at + 5]! << 8) | data[at + 6]!];
      if (sampling.length === 0) sampling = Array.from({ length: data[at + 9] ?? 0 }, (_, k) => data[at + 11 + 3 * k] ?? 0);
    }
    if (marker === 0xda) return size ? { size, scan: at, sampling } : null;
    at += 2 + length;
  }
  return null;
}

/** Whether a JPEG holds its colours at half the size of its light, in both directions. */
export function hasHalvedColours(data: Uint8Array): boolean {
  const [light, ...colours] = jpegFrame(data)?.sampling ?? [];
  return light === 0x22 && colours.length === 2 && colours.every((one) => one === 0x11);
}

/** Whether the file reaches its own end; browsers show what there is of a picture that breaks off, and say nothing. */
export function isWhole(data: Uint8Array, format: Format): boolean {
  switch (format) {
    case "JPEG": {
      const frame = jpegFrame(data);
      if (!frame) return false;
      for (let at = data.length - 2; at > frame.scan; at -= 1) {
        if (data[at] === 0xff && data[at + 1] === 0xd9) return true;
      }
      return false;
    }
    case "PNG":
      return chunkNamed(data, "IEND");
    case "WEBP":
      return data.length >= 12 && view(data).getUint32(4, true) + 8 <= data.length + 1;
    default:
      return true;
  }
}

function chunkNamed(data: Uint8Array, name: string): boolean {
  const bytes = view(data);
  for (let at = 8; at + 8 <= data.length; ) {
    if (latin(data, at + 4, at + 8) === name) return true;
    at += 12 + bytes.getUint32(at);
  }
  return false;
}

function latin(data: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...data.subarray(from, to));
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
