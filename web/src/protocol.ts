/** What the page's thread and the worker say to each other. */

import type { About, Explained, Setup } from "./engine.js";
import type { ErrorRecord } from "./errors.js";
import type { Target } from "./estimate/maps.js";
import type { Choice } from "./options.js";
import type { Pixels } from "./photos/picture.js";
import type { Photo } from "./results.js";

/** A photo on its way to the worker: encoded, as a bitmap, as a frame of a video, or as pixels. */
export type Sent = { blob: Blob } | { bitmap: ImageBitmap } | { frame: VideoFrame } | { pixels: Pixels };

/** What the worker can be asked for; all but the first need a started engine. */
export interface Calls {
  start: { ask: { base: string; setup: Setup }; answer: About };
  measure: { ask: Record<string, never>; answer: number };
  analyze: { ask: { photo: Sent; choice: Choice }; answer: Photo };
  explain: {
    ask: { photo: Sent; target: Target; face: number; choice: Choice; overlay: number | null };
    answer: Omit<Explained, "chip"> & { overlay: string | null };
  };
}

export type CallName = keyof Calls;

export type Ask = { [Name in CallName]: { id: number; name: Name; ask: Calls[Name]["ask"] } }[CallName];

/** To the worker: a question, or one that is no longer asked. */
export type ToWorker = Ask | { id: number; name: "drop" };

/** From the worker. */
export type FromWorker =
  | { id: number; answer: unknown }
  | { id: number; error: ErrorRecord }
  | { progress: [loaded: number, total: number] };
