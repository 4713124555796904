/**
 * mien in the browser: age and gender of faces, with honest uncertainty; a photo never leaves the device.
 *
 * ```js
 * const analyzer = await load({ model: "mien-s" });
 * const photo = await analyzer.analyze(file);
 * analyzer.checkAge(photo, { minAge: 18 }).outcome; // "pass", "fail" or "unsure"
 * ```
 */

import { checkAge, type AgeCheck, type AgeCheckOptions } from "./ageCheck.js";
import { Client } from "./client.js";
import type { About } from "./engine.js";
import type { Explanation } from "./estimate/explain.js";
import type { Target } from "./estimate/maps.js";
import { UsageError } from "./errors.js";
import type { Rotation } from "./looking.js";
import { checkChoice, complete, given, type Choice, type Options } from "./options.js";
import { nameOf, toSent, type Input } from "./photos/input.js";
import type { Photo } from "./results.js";
import type { OnProgress } from "./runtime/assets.js";
import type { Backend } from "./runtime/sessions.js";
import { Follower, type FollowOptions, type TrackedFrame } from "./video/follow.js";

export interface LoadOptions extends Partial<Options> {
  /** Name of a model of the package ("mien-m", "mien-s"), or the address of a model's folder. */
  readonly model?: string;
  /** Address of the folder with worker.js, the models and assets.json; that of this module unless given. */
  readonly assets?: string | URL;
  /**
   * "auto": WebAssembly at once, and WebGPU in its place where a graphics card is there and measured faster;
   * or one of the two.
   */
  readonly backend?: Backend | "auto";
  /** Threads of WebAssembly; 0 for half the cores, at most 4. More than one needs a cross-origin isolated page. */
  readonly threads?: number;
  /** Told while files arrive: bytes so far, and in all. */
  readonly onProgress?: OnProgress;
}

export interface AnalyzeOptions extends Choice {
  /** Gives the analysis up. */
  readonly signal?: AbortSignal;
}

export interface ExplainOptions extends AnalyzeOptions {
  readonly target?: Target;
  /** Which face; 1 is the largest. */
  readonly face?: number;
  /** Side in pixels of a drawing of the map over the face, as a data: URL. */
  readonly overlay?: number;
}

/** An explanation with the answer that it explains. */
export interface Explained {
  readonly photo: Photo;
  readonly explanation: Explanation;
  readonly overlay: string | null;
}

/** Photos in, ages and genders out. */
export class Analyzer {
  /** What the model and the runtime say of themselves. */
  readonly about: About;
  readonly #client: Client;
  readonly #options: Options;

  constructor(client: Client, about: About, options: Options) {
    this.#client = client;
    this.#options = options;
    this.about = about;
  }

  /** What runs the age network now: "webgpu" may take over from "wasm" where it was measured faster. */
  get backend(): Backend {
    return this.#client.backend;
  }

  /** Analyse one photo: a file, bytes, pixels, or an image, canvas or video of the page. */
  analyze(input: Input, { signal, ...choice }: AnalyzeOptions = {}): Promise<Photo> {
    const make = async () => {
      const { photo, transfer } = await toSent(input);
      return { ask: { photo, choice: { source: nameOf(input), ...choice } }, transfer };
    };
    return this.#client.call("analyze", make, signal);
  }

  /** Old enough? Decides on an analysed photo by the thresholds of the model. */
  checkAge(photo: Photo, options: AgeCheckOptions = {}): AgeCheck {
    return checkAge(photo, this.about.ageChecks, options);
  }

  /** What the answer for one face rests on: its class activation map. */
  explain(input: Input, options: ExplainOptions = {}): Promise<Explained> {
    const { signal, target = "age", face = 1, overlay = null, ...choice } = options;
    const make = async () => {
      const { photo, transfer } = await toSent(input);
      return { ask: { photo, target, face, overlay, choice: { source: nameOf(input), ...choice } }, transfer };
    };
    return this.#client.call("explain", make, signal);
  }

  /** Faces followed from frame to frame, their ages and genders averaged, as `mien video` does. */
  follow(options: FollowOptions = {}): VideoAnalysis {
    const { level, abstain, rotate } = this.#options;
    return new VideoAnalysis(this, { level, abstain, ...given(options) }, rotate);
  }

  /** End the worker. */
  close(): void {
    this.#client.close();
  }
}

/** One camera or video on its way. */
export class VideoAnalysis {
  readonly #analyzer: Analyzer;
  readonly #follower: Follower;
  readonly #choice: Choice;

  constructor(analyzer: Analyzer, options: FollowOptions, rotate: Rotation) {
    checkChoice(options);
    this.#analyzer = analyzer;
    // Averages need each frame's probability, not a label "uncertain", which hides the likelier one. Frames without a
    // face are the rule: turning each of them would take four times as long.
    const { level } = options;
    this.#choice = { abstain: 0.5, rotate: rotate === "auto" ? 0 : rotate, ...(level !== undefined && { level }) };
    this.#follower = new Follower(analyzer.about.config.calibration, options);
  }

  /** The next frame and its time in seconds, later than that of the one before. */
  async take(frame: Input, seconds: number, signal?: AbortSignal): Promise<TrackedFrame> {
    const options: AnalyzeOptions = { ...this.#choice, ...(signal && { signal }) };
    return this.#follower.take(await this.#analyzer.analyze(frame, options), seconds);
  }

  /** End the tracks that are still open. */
  rest(): ReturnType<Follower["rest"]> {
    return this.#follower.rest();
  }
}

/** An analyzer with a model. */
export async function load(wanted: LoadOptions = {}): Promise<Analyzer> {
  const { model = "mien-m", assets, backend = "auto", threads = 0, onProgress, ...options } = wanted;
  if (!["auto", "wasm", "webgpu"].includes(backend)) {
    throw UsageError.unknown("backend", backend, ["auto", "wasm", "webgpu"]);
  }
  if (!(threads >= 0)) throw new UsageError(`threads must be 0 or more, not ${threads}`);
  const setup = { model, threads, options: complete(options), backend: backend === "auto" ? "wasm" : backend } as const;
  const base = new URL(assets ?? ".", assets === undefined ? import.meta.url : globalThis.document?.baseURI);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const client = new Client(base, setup, onProgress);
  const about = await client.start();
  if (backend === "auto") void client.improve();
  return new Analyzer(client, about, setup.options);
}

export { toCheckRecord, type AgeCheck, type AgeCheckOptions, type FaceCheck } from "./ageCheck.js";
export type { About } from "./engine.js";
export * from "./errors.js";
export type { Outcome } from "./estimate/ageCheck.js";
export type { Explanation, Region } from "./estimate/explain.js";
export type { Rotation } from "./looking.js";
export type { Options } from "./options.js";
export type { Input } from "./photos/input.js";
export type { Pixels } from "./photos/picture.js";
export * from "./results.js";
export type { Seen, Track, TrackedFrame } from "./video/follow.js";
