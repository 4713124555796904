/** mien in Node: the same pipeline in this thread, on pixels that the caller has decoded. */

import { readFile } from "node:fs/promises";
import { checkAge, type AgeCheck, type AgeCheckOptions } from "./ageCheck.js";
import { Engine, type About } from "./engine.js";
import { ModelError, UsageError } from "./errors.js";
import type { Explanation } from "./estimate/explain.js";
import type { Target } from "./estimate/maps.js";
import { complete, given, type Choice, type Options } from "./options.js";
import { fromPixels, type Pixels } from "./photos/picture.js";
import type { Photo } from "./results.js";
import { Assets, type Source } from "./runtime/assets.js";
import { Follower, type FollowOptions } from "./video/follow.js";

declare const RUNTIME_GLUE: string; // set by the build
declare const RUNTIME_WASM: string;

export interface LoadOptions extends Partial<Options> {
  readonly model?: string;
  /** Folder with the models and assets.json; that of this module unless given. */
  readonly assets?: string | URL;
}

const DISK: Source = {
  async read(url) {
    try {
      return new Uint8Array(await readFile(url));
    } catch (error) {
      throw new ModelError(`${url.href} cannot be read: ${error instanceof Error ? error.message : error}`);
    }
  },
};

/** Pixels in, ages and genders out; one photo at a time. */
export class Analyzer {
  readonly about: About;
  readonly #engine: Engine;
  readonly #options: Options;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(engine: Engine, options: Options) {
    this.#engine = engine;
    this.about = engine.about;
    this.#options = options;
  }

  /** Analyse upright RGB or RGBA pixels. */
  analyze(pixels: Pixels, choice: Choice = {}): Promise<Photo> {
    return this.#queue(() => this.#engine.analyze(fromPixels(pixels), choice));
  }

  /** What the answer for one face rests on: its class activation map. */
  explain(pixels: Pixels, { target = "age" as Target, face = 1 } = {}): Promise<{ photo: Photo; explanation: Explanation }> {
    return this.#queue(async () => {
      const { photo, explanation } = await this.#engine.explain(fromPixels(pixels), target, face);
      return { photo, explanation };
    });
  }

  /** Old enough? Decides on an analysed photo by the thresholds of the model. */
  checkAge(photo: Photo, options: AgeCheckOptions = {}): AgeCheck {
    return checkAge(photo, this.about.ageChecks, options);
  }

  /** Follows faces through photos that were analysed with `abstain: 0.5` and `rotate: 0`. */
  follow(options: FollowOptions = {}): Follower {
    const { level, abstain } = this.#options;
    return new Follower(this.about.config.calibration, { level, abstain, ...given(options) });
  }

  #queue<T>(task: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(task, task);
    this.#turn = next.catch(() => undefined);
    return next;
  }
}

/** An analyzer with a model. */
export async function load({ model = "mien-m", assets, ...options }: LoadOptions = {}): Promise<Analyzer> {
  const base = new URL(assets ?? ".", import.meta.url);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  if (base.protocol !== "file:") throw new UsageError(`assets must be a folder of this machine, not ${base.href}`);
  const all = complete(options);
  const setup = { model, backend: "wasm", threads: 1, options: all } as const;
  const paths = { glue: RUNTIME_GLUE, wasm: RUNTIME_WASM };
  const engine = await Engine.start(await Assets.open(base, DISK), setup, paths, () => undefined);
  return new Analyzer(engine, all);
}

export { toCheckRecord, type AgeCheck, type AgeCheckOptions, type FaceCheck } from "./ageCheck.js";
export type { About } from "./engine.js";
export * from "./errors.js";
export type { Pixels } from "./photos/picture.js";
export * from "./results.js";
