/** Sends the pictures in small groups, one request at a time, until each has what the settings ask for. */

import { Problem } from "./api.js";
import { enlarged, fitted } from "./pictures.js";
import { size } from "./words.js";

const GROUP = 4; // pictures in a request: few, so that answers come soon
const GROUP_BYTES = 12 * 1024 ** 2;
const ENVELOPE = 2048; // bytes of a request beside the picture

/** Statuses that may be the fault of one picture among several: these are sent again one by one. */
const SHARED = new Set([400, 413, 415, 422, 504]);

/** One picture of the page. */
export class Entry {
  static #last = 0;

  /** "waiting", "working", "done" or "failed". */
  state = "waiting";
  record = null; // the answer of predict
  check = null; // the answer of check-age
  checkProblem = null; // why there is none
  problem = null;
  predictedWith = null;
  checkedWith = null;

  fit = null; // the file to send: itself, or made smaller

  constructor(file) {
    this.id = ++Entry.#last;
    this.file = file;
    this.name = file.name || `picture-${this.id}`;
  }

  /** The file as it goes out. */
  get sent() {
    return this.fit?.file ?? this.file;
  }
}

/** Fires "entry" (detail: the entry) when one has changed, "progress" when numbers have, "idle" at the end of a run. */
export class Runner extends EventTarget {
  entries = [];
  limits = { max_body: Infinity, max_photos: GROUP };
  running = false;
  asked = 0; // pictures of this run
  #abort = new AbortController();

  constructor(api, settings) {
    super();
    this.api = api;
    this.settings = settings;
  }

  /** Pictures of this run that are answered, for better or worse. */
  get answered() {
    return this.asked - this.#open().length;
  }

  add(files) {
    const added = files.map((file) => new Entry(file));
    this.entries.push(...added);
    return added;
  }

  remove(entry) {
    this.entries = this.entries.filter((one) => one !== entry);
    this.#tell("progress");
  }

  /** Another picture in its place, the same one turned; what was answered is forgotten. */
  replace(entry, file) {
    const nothing = { record: null, check: null, checkProblem: null, problem: null, fit: null };
    Object.assign(entry, { file, ...nothing, predictedWith: null, checkedWith: null });
    this.#set(entry, "waiting");
  }

  /** Ask for whatever is missing. Safe to call at any time. */
  async run() {
    const open = this.#open().length;
    this.asked = this.running ? Math.max(this.asked, open) : open;
    const begin = !this.running && open > 0;
    this.running ||= begin;
    this.#tell("progress");
    if (!begin) return;
    try {
      for (let group = await this.#next(); group !== null; group = await this.#next()) await this.#ask(group);
    } finally {
      this.running = false;
      this.#tell("progress");
      this.#tell("idle");
    }
  }

  /** Give up what has not been answered. */
  stop(problem = new Problem("stopped", "Stopped before it was analysed.", { again: true })) {
    for (const entry of this.#open()) this.#fail(entry, problem);
    this.#abort.abort();
    this.#abort = new AbortController(); // for what is added from now on
  }

  /** Forget the failures that another try may mend. */
  retract(entries = this.entries) {
    for (const entry of entries.filter((one) => one.problem?.again)) {
      entry.problem = null;
      this.#set(entry, "waiting");
    }
  }

  #need(entry) {
    const { settings } = this;
    if (entry.problem !== null || entry.record?.error) return null;
    if (entry.record === null || entry.predictedWith !== settings.predictKey) return "predict";
    return settings.mode === "check" && entry.checkedWith !== settings.checkKey ? "check" : null;
  }

  #open() {
    return this.entries.filter((entry) => this.#need(entry) !== null);
  }

  async #next() {
    const open = this.#open();
    if (open.length === 0) return null;
    const kind = this.#need(open[0]);
    const most = Math.min(GROUP, this.limits.max_photos);
    const group = { kind, entries: [] };
    let bytes = 0;
    for (const entry of open) {
      entry.fit ??= await fitted(entry.file, this.limits);
      if (!this.entries.includes(entry) || this.#need(entry) === null) continue; // removed or stopped meanwhile
      const length = entry.sent.size + ENVELOPE;
      if (length > this.limits.max_body) {
        const most = size(this.limits.max_body);
        const text = `This file has ${size(entry.sent.size)}; the service takes up to ${most}. Make it smaller.`;
        this.#fail(entry, new Problem("too_large", text));
        continue;
      }
      if (this.#need(entry) !== kind || group.entries.length === most) break;
      if (bytes + length > Math.min(GROUP_BYTES, this.limits.max_body) && group.entries.length > 0) break;
      bytes += length;
      group.entries.push(entry);
    }
    return group.entries.length > 0 ? group : this.#next();
  }

  async #ask({ kind, entries }) {
    for (const entry of entries) this.#set(entry, "working");
    const keys = [this.settings.predictKey, this.settings.checkKey];
    try {
      this.#take(kind, entries, await this.#answers(kind, entries), keys);
    } catch (error) {
      if (error.name === "AbortError") return;
      const problem = error instanceof Problem ? error : new Problem("page", `This page failed: ${error.message}.`);
      if (entries.length > 1 && SHARED.has(problem.status)) {
        for (const entry of entries) if (this.#need(entry)) await this.#ask({ kind, entries: [entry] });
      } else if (problem.all) {
        this.stop(problem);
        this.#tell("halt", problem);
      } else {
        for (const entry of entries) this.#refuse(kind, entry, problem, keys);
      }
    }
    this.#tell("progress");
  }

  /** A request of which every photo failed is an error with the same list. */
  async #answers(kind, entries) {
    const { api, settings } = this;
    const files = entries.map((entry) => entry.sent);
    try {
      return await (kind === "predict"
        ? api.predict(files, settings, this.#abort.signal)
        : api.checkAge(files, settings, this.#abort.signal));
    } catch (error) {
      if (error instanceof Problem && error.photos?.length === files.length) return error.photos;
      throw error;
    }
  }

  #take(kind, entries, answers, [predictKey, checkKey]) {
    entries.forEach((entry, index) => {
      const answer = answers[index];
      if (entry.problem !== null) return; // stopped meanwhile
      if (answer.error) {
        entry.record = { ...answer, width: null, height: null, faces: [] };
        entry.predictedWith = predictKey;
        this.#fail(entry, new Problem(answer.error.kind, answer.error.message));
        return;
      }
      const whole = enlarged(answer, entry.fit);
      if (kind === "predict") Object.assign(entry, { record: whole, predictedWith: predictKey });
      else Object.assign(entry, { check: whole, checkProblem: null, checkedWith: checkKey });
      this.#set(entry, this.#need(entry) === null ? "done" : "working");
    });
  }

  /** A check that cannot be made leaves the estimate as it is. */
  #refuse(kind, entry, problem, [, checkKey]) {
    if (kind === "predict") {
      this.#fail(entry, problem);
      return;
    }
    Object.assign(entry, { check: null, checkProblem: problem, checkedWith: checkKey });
    this.#set(entry, "done");
  }

  #fail(entry, problem) {
    entry.problem = problem;
    this.#set(entry, "failed");
  }

  #set(entry, state) {
    entry.state = state;
    if (this.entries.includes(entry)) this.#tell("entry", entry);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
