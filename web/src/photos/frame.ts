/**
 * Frames of a video -> photos, without a bitmap and a canvas for each: browsers free those late, so that a camera heaps
 * up hundreds of megabytes.
 */

import { fromPixels, type OpenPhoto } from "./picture.js";

/** What newer browsers say of a frame, beside what TypeScript knows. */
type Turned = VideoFrame & { readonly rotation?: number; readonly flip?: boolean };

/** Whether the bytes of a frame can be read as they are shown: RGBA, upright, with square pixels. */
export function isReadable(frame: VideoFrame): boolean {
  const { visibleRect, displayWidth, displayHeight, format, rotation, flip } = frame as Turned;
  if (rotation !== 0 || flip !== false) return false; // older browsers do not say, and give the bytes unturned
  if (visibleRect?.width !== displayWidth || visibleRect.height !== displayHeight) return false;
  try {
    const size = frame.allocationSize({ format: "RGBA" });
    return size === 4 * displayWidth * displayHeight && !format?.startsWith("BGR"); // that may not be converted
  } catch {
    return false;
  }
}

/** The frame of a playing video; null where only a bitmap of it can be read. */
export function frameOf(source: HTMLVideoElement | VideoFrame): VideoFrame | null {
  if (typeof VideoFrame !== "function") return null;
  let frame: VideoFrame;
  try {
    frame = source instanceof VideoFrame ? source.clone() : new VideoFrame(source);
  } catch {
    return null; // why, says the bitmap
  }
  if (isReadable(frame)) return frame;
  frame.close();
  return null;
}

/** Kept from frame to frame; a worker has one question at a time. */
let pixels = new Uint8Array(0);

/** A frame as a photo, which holds until the next one is opened. */
export async function fromFrame(frame: VideoFrame): Promise<OpenPhoto> {
  const { displayWidth: width, displayHeight: height } = frame;
  try {
    const size = 4 * width * height;
    if (pixels.length !== size) pixels = new Uint8Array(size);
    await frame.copyTo(pixels, { format: "RGBA" });
  } finally {
    frame.close(); // a camera has but a few
  }
  return fromPixels({ data: pixels, width, height });
}
