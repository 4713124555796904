/** The worker: one engine, one question at a time, so that the page's thread never waits. */

import { Engine, type Explained } from "./engine.js";
import { MienError, toErrorRecord } from "./errors.js";
import { heat } from "./overlay.js";
import { decode, fromBitmap } from "./photos/decode.js";
import { fromFrame } from "./photos/frame.js";
import { discard } from "./photos/input.js";
import { fromPixels, type OpenPhoto } from "./photos/picture.js";
import type { Ask, Calls, FromWorker, Sent, ToWorker } from "./protocol.js";
import type { Options } from "./options.js";
import { Assets, NETWORK } from "./runtime/assets.js";
import { wasmThreads } from "./runtime/sessions.js";

declare const RUNTIME_GLUE: string; // set by the build
declare const RUNTIME_WASM: string;

let engine: Engine | null = null;
let options: Options;
const waiting: Ask[] = [];
const dropped = new Set<number>();
let busy = false;

function post(message: FromWorker): void {
  globalThis.postMessage(message);
}

globalThis.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.name === "drop") {
    if (waiting.some(({ id }) => id === data.id)) dropped.add(data.id);
    return;
  }
  waiting.push(data);
  if (!busy) void work();
});

async function work(): Promise<void> {
  busy = true;
  for (let ask = waiting.shift(); ask; ask = waiting.shift()) {
    try {
      if (dropped.delete(ask.id)) {
        if ("photo" in ask.ask) discard(ask.ask.photo);
        continue;
      }
      post({ id: ask.id, answer: await answer(ask) });
    } catch (error) {
      post({ id: ask.id, error: toErrorRecord(error) });
    }
  }
  busy = false;
}

async function answer(ask: Ask): Promise<unknown> {
  if (ask.name === "start") return start(ask.ask);
  if (!engine) throw new MienError("the worker was asked before it was started");
  if (ask.name === "measure") return engine.measure();
  const opened = await open(ask.ask.photo);
  try {
    if (ask.name === "analyze") return await engine.analyze(opened, ask.ask.choice);
    const { target, face, choice, overlay } = ask.ask;
    const explained = await engine.explain(opened, target, face, choice);
    const { photo, explanation } = explained;
    return { photo, explanation, overlay: overlay === null ? null : await draw(explained, overlay) };
  } finally {
    opened.close();
  }
}

async function start({ base, setup }: Calls["start"]["ask"]): Promise<Calls["start"]["answer"]> {
  const assets = await Assets.open(new URL(base), NETWORK);
  options = setup.options;
  engine = await Engine.start(
    assets,
    { ...setup, threads: wasmThreads(setup.threads) },
    { glue: RUNTIME_GLUE, wasm: RUNTIME_WASM },
    (loaded, total) => post({ progress: [loaded, total] }),
  );
  return engine.about;
}

async function open(photo: Sent): Promise<OpenPhoto> {
  if ("blob" in photo) return decode(photo.blob, options);
  if ("frame" in photo) return fromFrame(photo.frame);
  return "pixels" in photo ? fromPixels(photo.pixels) : fromBitmap(photo.bitmap);
}

/** The map over the face as a data: URL. */
async function draw({ chip, explanation }: Explained, side: number): Promise<string> {
  const canvas = new OffscreenCanvas(side, side);
  canvas.getContext("2d")!.putImageData(new ImageData(heat(chip, explanation, side), side, side), 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return `data:image/png;base64,${btoa(text)}`;
}
