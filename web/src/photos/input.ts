/** Whatever a page has of a photo -> something that can be sent to the worker. */

import { PhotoEmpty, PhotoTruncated, UsageError } from "../errors.js";
import type { Sent } from "../protocol.js";
import { frameOf } from "./frame.js";
import type { Pixels } from "./picture.js";

/** What an analyzer takes in a browser. */
export type Input =
  | Blob
  | ArrayBuffer
  | Uint8Array<ArrayBuffer>
  | ImageData
  | Pixels
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | HTMLVideoElement
  | OffscreenCanvas
  | VideoFrame;

/** A photo as a message, and what of it changes hands. */
export async function toSent(input: Input): Promise<{ photo: Sent; transfer: Transferable[] }> {
  if (input instanceof Blob) return { photo: { blob: input }, transfer: [] };
  if (input instanceof ArrayBuffer || input instanceof Uint8Array) {
    return { photo: { blob: new Blob([input]) }, transfer: [] };
  }
  if (isPixels(input)) {
    const { data, width, height } = input;
    return { photo: { pixels: { data, width, height } }, transfer: [] };
  }
  if (!isDrawable(input)) {
    throw new UsageError("a photo is a Blob, bytes, pixels, or an image, canvas or video of the page");
  }
  const frame = isVideo(input) ? frameOf(input) : null;
  if (frame) return { photo: { frame }, transfer: [frame] };
  const bitmap = await grab(input);
  return { photo: { bitmap }, transfer: [bitmap] };
}

/** Free a photo that nobody will look at. */
export function discard(photo: Sent): void {
  if ("bitmap" in photo) photo.bitmap.close();
  if ("frame" in photo) photo.frame.close();
}

/** The name of a file, for the record of its answer. */
export function nameOf(input: Input): string {
  return (typeof File === "function" && input instanceof File && input.name) || "picture";
}

function isPixels(input: unknown): input is Pixels {
  const data = (input as Partial<Pixels> | null)?.data;
  return data instanceof Uint8Array || data instanceof Uint8ClampedArray;
}

type Drawable = Exclude<Input, Blob | ArrayBuffer | Uint8Array | ImageData | Pixels>;

function isDrawable(input: unknown): input is Drawable {
  const kinds = ["HTMLImageElement", "HTMLCanvasElement", "HTMLVideoElement", "ImageBitmap", "OffscreenCanvas", "VideoFrame"];
  return kinds.some((name) => isA(name, input));
}

function isVideo(input: unknown): input is HTMLVideoElement | VideoFrame {
  return isA("HTMLVideoElement", input) || isA("VideoFrame", input);
}

/** Whether something is of a class that not every browser and no Node has. */
function isA(name: string, input: unknown): boolean {
  const kind = (globalThis as Record<string, unknown>)[name];
  return typeof kind === "function" && input instanceof (kind as new () => object);
}

async function grab(input: Drawable): Promise<ImageBitmap> {
  if (typeof HTMLImageElement === "function" && input instanceof HTMLImageElement) {
    try {
      await input.decode();
    } catch {
      throw new PhotoTruncated("the image of the page is no picture, or could not be loaded");
    }
  }
  if (typeof HTMLVideoElement === "function" && input instanceof HTMLVideoElement && input.readyState < 2) {
    throw new PhotoEmpty("the video shows no picture yet: wait until it plays");
  }
  try {
    return await createImageBitmap(input, { colorSpaceConversion: "none" });
  } catch (error) {
    throw new PhotoEmpty(`the picture cannot be taken from the page: ${error instanceof Error ? error.message : error}`);
  }
}
