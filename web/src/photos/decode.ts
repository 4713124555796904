/** Encoded photos and bitmaps -> photos that can be read at any size, by the browser's own decoders. */

import { BrowserError, PhotoEmpty, PhotoTooLarge, PhotoTruncated, PhotoUnsupported } from "../errors.js";
import { END, isEnough } from "./cutJpeg.js";
import { hasHalvedColours, isWhole, rejection, sniff, statedSize, type Format } from "./formats.js";
import { reduce, reduction, sideFor, type DecodeOptions, type OpenPhoto, type Rows } from "./picture.js";

/** Decode a photo: upright, transparency laid on white, colour profiles ignored, the first frame of an animation. */
export async function decode(photo: Blob, options: DecodeOptions): Promise<OpenPhoto> {
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
  const whole = isWhole(data, format);
  if (!whole && !(format === "JPEG" && isEnough(data))) {
    throw new PhotoTruncated(`this ${format} picture breaks off or is damaged: copy it again, or save it as PNG`);
  }
  const bitmap = await openBitmap(new Blob(whole ? [data] : [data, END]), format);
  try {
    checkPixels(bitmap.width, bitmap.height, options);
    const jpeg = format === "JPEG" && { halvedColours: hasHalvedColours(data) };
    return fromBitmap(bitmap, jpeg, !whole);
  } catch (error) {
    bitmap.close();
    throw error;
  }
}

/** A bitmap as a photo, which closes it. */
export function fromBitmap(
  bitmap: ImageBitmap,
  jpeg: false | { halvedColours: boolean } = false,
  incomplete = false,
): OpenPhoto {
  const { width, height } = bitmap;
  if (!(width && height)) throw new PhotoEmpty("the picture has no pixels");
  return {
    at(fit) {
      const how = reduction(width, height, sideFor(fit, Math.max(width, height)), jpeg !== false);
      return { pixels: reduce(rowsOf(bitmap), width, height, how, jpeg && jpeg.halvedColours), width, height, incomplete };
    },
    close: () => bitmap.close(),
  };
}

/** Kept from frame to frame: browsers are slow to free a canvas, and a camera would heap them up. */
let canvas: OffscreenCanvas | null = null;

/** Rows of a bitmap laid on white, through a canvas no larger than what is asked for at once. */
function rowsOf(bitmap: ImageBitmap): Rows {
  const { width } = bitmap;
  return (top, bottom) => {
    const height = bottom - top;
    if (canvas?.width !== width || canvas.height < height) canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (!context) throw new BrowserError("this browser cannot read the pixels of a picture: update it");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
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
