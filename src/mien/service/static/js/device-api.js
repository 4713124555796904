/** Answers from this device, by mien for the browser: the same questions and records as the service's. */

import { Problem } from "./api.js";

const OVERLAY_SIDE = 360; // pixels of the map over a face
const AGAIN = new Set(["network", "memory"]); // faults that another try may mend

export class DeviceApi {
  #folder;
  #onLoad;
  #mien = null; // the module
  #list = null; // what assets.json says
  #opened = null; // {model, analyzer}: one at a time, for they take memory

  /**
   * @param {URL} folder where mien for the browser lies
   * @param {(loaded: number, total: number) => void} onLoad is told while files arrive
   */
  constructor(folder, onLoad) {
    this.#folder = folder;
    this.#onLoad = onLoad;
  }

  /** What models there are; begins to fetch the first of them, so that it is there when a picture comes. */
  async models() {
    return told(async () => {
      this.#mien ??= await load(new URL("index.js", this.#folder));
      this.#list ??= await fetchJSON(new URL("assets.json", this.#folder));
      const models = await Promise.all(this.#list.models.map((name) => this.#describe(name)));
      this.#analyzer(null).catch(() => {}); // what is wrong shows when a picture is analysed
      const limits = { max_body: 64 * 1024 ** 2, max_photos: 1, max_pixels: 50_000_000 };
      return { models, default: this.#list.models[0], limits };
    });
  }

  /** Faces, ages and genders; an array of records in the order of the files. */
  predict(files, { level, abstain, model }, signal) {
    return this.#each(files, model, async (analyzer, file) => {
      const photo = await analyzer.analyze(file, { level, abstain, signal });
      return this.#mien.toRecord(photo, { pmf: true });
    });
  }

  /** Old enough? An array of checks in the order of the files. */
  checkAge(files, { limit, rate, model }, signal) {
    const rule = { minAge: limit, maxFalsePass: rate, maxFalseFail: rate };
    return this.#each(files, model, async (analyzer, file) =>
      analyzer.checkAge(await analyzer.analyze(file, { signal }), rule),
    );
  }

  /** What the answer for one face (1 is the largest) rests on. */
  explain(file, { target, face, model }, signal) {
    return told(async () => {
      const analyzer = await this.#analyzer(model);
      const found = await analyzer.explain(file, { target, face, overlay: OVERLAY_SIDE, signal });
      return { ...found.explanation, overlay: found.overlay };
    });
  }

  /**
   * Faces of a camera, followed from picture to picture with their ages averaged.
   * @returns {Promise<(video: HTMLVideoElement, settings: object, signal: AbortSignal) => Promise<object>>}
   */
  watch({ level, abstain, model }) {
    return told(async () => {
      const analyzer = await this.#analyzer(model);
      const video = analyzer.follow({ level, abstain });
      const began = performance.now();
      return (element, settings, signal) =>
        told(async () => {
          const frame = await video.take(element, (performance.now() - began) / 1000, signal);
          const faces = frame.faces.map(({ track, face, age, gender }) => ({ track, face: { ...face, age, gender } }));
          return { ...frame, faces: settings.mode === "check" ? checked(analyzer, faces, settings) : faces };
        });
    });
  }

  /** One answer a file; what is wrong with a file is its answer. */
  #each(files, model, answer) {
    return told(async () => {
      const analyzer = await this.#analyzer(model);
      const answers = [];
      for (const file of files) {
        try {
          answers.push({ ...(await answer(analyzer, file)), source: file.name });
        } catch (error) {
          if (!(error instanceof this.#mien.PhotoError)) throw error;
          answers.push(failed(file, analyzer, error));
        }
      }
      return answers;
    });
  }

  async #analyzer(model) {
    const name = model ?? this.#list.models[0];
    if (this.#opened?.name !== name) {
      this.#opened?.analyzer.then((one) => one.close(), () => {});
      const options = { model: name, assets: this.#folder, onProgress: this.#onLoad };
      this.#opened = { name, analyzer: this.#mien.load(options) };
      this.#opened.analyzer.catch(() => {
        if (this.#opened?.name === name) this.#opened = null; // the next picture tries again
      });
    }
    return this.#opened.analyzer;
  }

  async #describe(name) {
    const folder = new URL(`models/${name}/`, this.#folder);
    const config = await fetchJSON(new URL("config.json", folder));
    const checks = `models/${name}/age_checks.json` in this.#list.files;
    const limits = checks ? (await fetchJSON(new URL("age_checks.json", folder))).limits : {};
    const rates = Object.values(limits).flatMap((entry) => [entry.pass_above, entry.fail_below].flatMap(Object.keys));
    return {
      name: config.name,
      licence: config.licence.name,
      data: config.data,
      age_checks: checks ? { limits: numbers(Object.keys(limits)), rates: numbers(rates) } : null,
    };
  }
}

/** Ascending, each once. */
function numbers(texts) {
  return [...new Set(texts.map(Number))].sort((a, b) => a - b);
}

function checked(analyzer, faces, { limit, rate }) {
  const photo = { source: "camera", model: "", faces: faces.map(({ face }) => face), error: null };
  const check = analyzer.checkAge(photo, { minAge: limit, maxFalsePass: rate, maxFalseFail: rate });
  return faces.map((one, index) => ({ ...one, outcome: check.faces[index].outcome }));
}

function failed(file, analyzer, { kind, message }) {
  const model = analyzer.about.config.name;
  const unseen = { width: null, height: null, scale: null, turned: 0, incomplete: false, faces: [] };
  return { schema_version: 1, source: file.name, model, ...unseen, error: { kind, message } };
}

async function load(url) {
  try {
    return await import(url.href);
  } catch {
    throw new Problem("unreachable", "The files of this page cannot be fetched. Check the connection.", { again: true });
  }
}

async function fetchJSON(url) {
  try {
    const response = await fetch(url);
    if (response.ok) return await response.json();
  } catch {
    // told below
  }
  throw new Problem("unreachable", "The files of this page cannot be fetched. Check the connection.", { again: true });
}

/** Whatever goes wrong, as a problem of the page. */
async function told(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    if (error.kind === "aborted") throw new DOMException(error.message, "AbortError");
    const again = AGAIN.has(error.kind);
    throw new Problem(error.kind ?? "page", error.message, { again, status: again && error.kind !== "network" ? 507 : 0 });
  }
}
