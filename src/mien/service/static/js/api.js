/** Talks to the service: requests, problems, the API key, and one more try when the service is busy. */

const LONGEST_WAIT = 30; // seconds; a service that is busy for longer is not waited for
const BUSY = new Set([429, 503]);
const GONE = new Set([0, 401, 429, 502, 503]); // no answer, no key, no time: the next request would fare no better

/**
 * Why a request has no answer. `again` says whether another try may help, `photos` what each photo's fault was, `all`
 * whether other requests would fail as well.
 */
export class Problem extends Error {
  constructor(kind, message, { status = 0, again = false, photos = null } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.again = again;
    this.photos = photos;
  }

  get all() {
    return this.again && GONE.has(this.status);
  }
}

export class Api {
  #key = null; // in memory only
  #asking = null;

  /**
   * @param {(refused: boolean) => Promise<string | null>} askKey asks for the API key; null: the user would not say
   * @param {(seconds: number) => void} onWait is told when a busy service is waited for
   */
  constructor(askKey, onWait = () => {}) {
    this.askKey = askKey;
    this.onWait = onWait;
  }

  /** What models there are, what age checks they know, the limits of requests; `ask` for a key where one is needed. */
  models({ ask }) {
    return this.#send("v1/models", {}, ask);
  }

  /** Faces, ages and genders; an array of records in the order of the files. */
  async predict(files, { level, abstain, model }, signal) {
    const query = { pmf: true, level, abstain, model };
    return (await this.#post("v1/predict", query, files, signal)).photos;
  }

  /** Old enough? An array of checks in the order of the files. */
  async checkAge(files, { limit, rate, model }, signal) {
    const query = { min_age: limit, max_false_pass: rate, max_false_fail: rate, model };
    return (await this.#post("v1/check-age", query, files, signal)).checks;
  }

  /** What the answer for one face (1 is the largest) rests on. */
  async explain(file, { target, face, model }, signal) {
    const query = { target, face, method: "occlusion", overlay: true, model };
    const photo = await this.#post("v1/explain", query, [file], signal);
    const found = photo.faces.find((one) => one.number === face) ?? photo.faces[0];
    if (!found) throw new Problem("no_face", "There was no face to explain.");
    return found.explanation;
  }

  #post(path, query, files, signal) {
    const body = new FormData();
    for (const file of files) body.append("photos", file, file.name);
    const asked = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    return this.#send(`${path}?${new URLSearchParams(asked)}`, { method: "POST", body, signal });
  }

  async #send(path, options, ask = true) {
    for (let waited = false; ;) {
      const key = this.#key;
      const response = await this.#fetch(path, options, key);
      if (response.ok) return response.json();
      if (response.status === 401) {
        if (!ask) throw await read(response);
        await this.#newKey(key);
        continue;
      }
      const problem = await read(response);
      const seconds = Number(response.headers.get("Retry-After") ?? "1");
      if (!BUSY.has(response.status) || waited || !(seconds <= LONGEST_WAIT)) throw problem;
      waited = true;
      this.onWait(seconds);
      await pause(1000 * seconds, options.signal);
    }
  }

  async #fetch(path, options, key) {
    const headers = { Accept: "application/json" };
    if (key !== null) headers.Authorization = `Bearer ${key}`;
    try {
      return await fetch(new URL(path, document.baseURI), {
        ...options,
        headers,
        credentials: "omit",
        cache: "no-store",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("unreachable", "The service cannot be reached. Is it running?", { again: true });
    }
  }

  /** Several requests may be refused at once; the user is asked once. */
  async #newKey(refused) {
    if (refused !== this.#key) return; // another request has got a newer one
    this.#asking ??= this.askKey(refused !== null).finally(() => {
      this.#asking = null;
    });
    const key = await this.#asking;
    if (key === null) throw new Problem("no_key", "The service asks for a key, and none was given.", { again: true });
    this.#key = key;
  }
}

/** A pause that an abort ends. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

async function read(response) {
  const { status } = response;
  let told = {};
  try {
    told = await response.json();
  } catch {
    // a proxy's error page: the status says enough
  }
  const kind =
    String(told.type ?? "")
      .split(":")
      .at(-1) || `http_${status}`;
  const again = BUSY.has(status) || status === 408 || status >= 500;
  return new Problem(kind, sentenceFor(status, told), { status, again, photos: told.photos ?? null });
}

function sentenceFor(status, told) {
  const usual = {
    429: "Too many requests: the service asks to wait a little.",
    503: "The service is busy with other pictures.",
    504: "This took the service too long.",
  };
  if (status in usual) return usual[status];
  const detail = typeof told.detail === "string" ? told.detail : told.title;
  return detail || `The service answered with the error ${status}.`;
}
