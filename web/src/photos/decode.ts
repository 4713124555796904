/** Encoded photos and bitmaps -> pictures, by the browser's own decoders. */

import { BrowserError, PhotoEmpty, PhotoTooLarge, PhotoTruncated, PhotoUnsupported } from "../errors.js";
import { isWhole, rejection, sniff, statedSize, type Format } from "./formats.js";
import { reduce, reduction, type DecodeOptions, type Picture } from "./picture.js";

/** Decode a photo: upright, transparency laid on white, colour profiles ignored, the first frame of an animation. */
export async function decode(photo: Blob, options: DecodeOptions): Promise<Picture> {
  if (photo.size === 0) throw new PhotoEmpty("the photo is empty, it has no bytes: copy or download it again");
  if (photo.size > options.maxBytes) {
    throw new PhotoTooLarge(
      `the photo has ${grouped(photo.size)} bytes, more than the limit of ${grouped(options.maxBytes)}: make it smaller`,
    );
  }
  const data = new Uint8Array(await photo.arrayBuffer());
  const format = sniff(data);
  if (format === null) throw rejection(data);
  const stated = statedSize(data, format);
  if (stated) checkPixels(...stated, options);
  if (!isWhole(data, format)) {
    throw new PhotoTruncated(`this ${format} picture breaks off or is damaged: copy it again, or save it as PNG`);
  }
  const bitmap = await openBitmap(new Blob([data]), format);
  try {
    checkPixels(bitmap.width, bitmap.height, options);
    return fromBitmap(bitmap, options, format === "JPEG");
  } finally {
    bitmap.close();
  }
}

/** A bitmap of the caller as a picture. */
export function fromBitmap(bitmap: ImageBitmap, { targetSide }: DecodeOptions, jpeg = false): Picture {
  const { width, height } = bitmap;
  if (!(width && height)) throw new PhotoEmpty("the picture has no pixels");
  const how = reduction(width, height, targetSide, jpeg);
  let canvas: OffscreenCanvas | null = null;
  const pixels = reduce(
    (top, bottom) => {
      if (canvas?.height !== bottom - top) canvas = new OffscreenCanvas(width, bottom - top);
      const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
      if (!context) throw new BrowserError("this browser cannot read the pixels of a picture: update it");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, width, bottom - top);
      context.drawImage(bitmap, 0, top, width, bottom - top, 0, 0, width, bottom - top);
      return context.getImageData(0, 0, width, bottom - top).data;
    },
    width,
    height,
    how,
  );
  return { pixels, width, height };
}

async function openBitmap(photo: Blob, format: Format): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(photo, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch (error) {
    if (error instanceof RangeError) throw new PhotoTooLarge("the photo has more pixels than fit into memory: make it smaller");
    if (["TIFF", "HEIF", "AVIF", "PNM"].includes(format)) {
      const name = format === "HEIF" ? "HEIC" : format;
      throw new PhotoUnsupported(`this browser cannot read ${name} pictures: save it as JPEG or PNG`);
    }
    throw new PhotoTruncated(
      `this ${format} picture breaks off, is damaged or of a rare kind: copy it again, or save it as PNG`,
    );
  }
}

function checkPixels(width: number, height: number, { maxPixels }: DecodeOptions): void {
  if (width * height > maxPixels) {
    throw new PhotoTooLarge(
      `the photo has ${width} x ${height} pixels, more than the limit of ${grouped(maxPixels)}: make it smaller`,
    );
  }
}

function grouped(number: number): string {
  return number.toLocaleString("en-US");
}
