/** The page's side: a worker that is started when it is needed, and started again when it has broken down. */

import type { About, Setup } from "./engine.js";
import { Aborted, BrowserError, fromErrorRecord, MemoryError, type MienError } from "./errors.js";
import type { CallName, Calls, FromWorker, ToWorker } from "./protocol.js";
import type { OnProgress } from "./runtime/assets.js";
import type { Backend } from "./runtime/sessions.js";

interface Open {
  resolve: (answer: unknown) => void;
  reject: (error: unknown) => void;
}

/** Faults after which a worker is not to be trusted: memory that ran out, and what nobody foresaw. */
const BROKEN = new Set(["memory", "error"]);

/** A graphics card must be so much faster to be worth the change, and the network so large to be worth a try. */
const FASTER = 1.25;
const LARGE = 100e6; // multiply-adds of a chip

const WORKERS = { wasm: "worker.js", webgpu: "worker-webgpu.js" };

export class Client {
  readonly #base: URL;
  readonly #onProgress: OnProgress | undefined;
  #setup: Setup;
  #worker: Worker | null = null;
  #about: Promise<About> | null = null;
  #open = new Map<number, Open>();
  #last = 0;
  #closed = false;
  #faster: Client | null = null; // takes the questions since it was measured to be

  constructor(base: URL, setup: Setup, onProgress?: OnProgress) {
    this.#base = base;
    this.#setup = setup;
    this.#onProgress = onProgress;
  }

  /** Start the worker, if none runs. */
  start(): Promise<About> {
    if (this.#closed) return Promise.reject(new Aborted("the analyzer was closed"));
    this.#about ??= this.#begin().catch(async (error: MienError) => {
      this.#end(error);
      if (this.#setup.backend !== "webgpu") throw error;
      this.#setup = { ...this.#setup, backend: "wasm" };
      return this.start();
    });
    return this.#about;
  }

  /** What runs the age network now. */
  get backend(): Backend {
    return this.#faster?.backend ?? this.#setup.backend;
  }

  /** Try WebGPU beside WebAssembly, and let it take over where it is measured faster. Nothing waits for it. */
  async improve(): Promise<void> {
    const { config } = await this.start();
    if (config.multiplyAdds < LARGE || !(await hasGraphics())) return;
    const other = new Client(this.#base, { ...this.#setup, backend: "webgpu" });
    try {
      await other.start();
      const none = () => Promise.resolve({ ask: {}, transfer: [] });
      const [theirs, ours] = [await other.call("measure", none), await this.call("measure", none)];
      if (this.#closed || other.backend !== "webgpu" || theirs * FASTER > ours) throw new Aborted("not worth it");
      this.#faster = other;
      this.#retire();
    } catch {
      other.close();
    }
  }

  /** Ask the worker; `make` gives the question anew for a second try on another worker. */
  async call<Name extends Exclude<CallName, "start">>(
    name: Name,
    make: () => Promise<{ ask: Calls[Name]["ask"]; transfer: Transferable[] }>,
    signal?: AbortSignal,
  ): Promise<Calls[Name]["answer"]> {
    if (this.#faster) return this.#faster.call(name, make, signal);
    const about = await this.start();
    const worker = this.#worker;
    try {
      if (signal?.aborted) throw givenUp();
      const { ask, transfer } = await make();
      return (await this.#send(name, ask, transfer, signal)) as Calls[Name]["answer"];
    } catch (error) {
      if (!BROKEN.has((error as Partial<MienError>).kind ?? "")) throw error;
      if (this.#worker === worker) this.#end(error); // else another question that it left open has begun a new one
      if (about.backend !== "webgpu" || this.#closed) throw error;
      this.#setup = { ...this.#setup, backend: "wasm" }; // the graphics card was lost
      return this.call(name, make, signal);
    }
  }

  /** End the worker and give up all questions. */
  close(): void {
    this.#closed = true;
    this.#faster?.close();
    this.#end(new Aborted("the analyzer was closed"));
  }

  async #begin(): Promise<About> {
    demand();
    let worker: Worker;
    try {
      worker = new Worker(new URL(WORKERS[this.#setup.backend], this.#base), { type: "module", name: "mien" });
    } catch (error) {
      throw new BrowserError(`this browser cannot start mien's worker: ${error instanceof Error ? error.message : error}`);
    }
    this.#worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (this.#worker === worker) this.#heed(data);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      if (this.#worker !== worker) return;
      const why = event.message ? new MemoryError(`the worker broke down: ${event.message}`) : unfetched(this.#base);
      this.#end(why);
    });
    return (await this.#send("start", { base: this.#base.href, setup: this.#setup }, [])) as About;
  }

  #send(name: CallName, ask: unknown, transfer: Transferable[], signal?: AbortSignal): Promise<unknown> {
    const worker = this.#worker;
    if (!worker || signal?.aborted) {
      for (const one of transfer) if ("close" in one) one.close();
      return Promise.reject(worker ? givenUp() : new MemoryError("the worker broke down: try again"));
    }
    const id = (this.#last += 1);
    return new Promise((resolve, reject) => {
      const give = (): void => {
        this.#open.delete(id);
        worker.postMessage({ id, name: "drop" } satisfies ToWorker);
        reject(givenUp());
      };
      const done = (): void => signal?.removeEventListener("abort", give);
      this.#open.set(id, {
        resolve: (answer) => (done(), resolve(answer)),
        reject: (error) => (done(), reject(error)),
      });
      signal?.addEventListener("abort", give, { once: true });
      worker.postMessage({ id, name, ask } as ToWorker, transfer);
    });
  }

  #heed(message: FromWorker): void {
    if ("progress" in message) {
      this.#onProgress?.(...message.progress);
      return;
    }
    const open = this.#open.get(message.id);
    this.#open.delete(message.id);
    if ("error" in message) open?.reject(fromErrorRecord(message.error));
    else open?.resolve(message.answer);
    this.#retire();
  }

  /** Once another has taken over, and no question is left, this worker is not needed. */
  #retire(): void {
    if (this.#faster && this.#open.size === 0) this.#end(new Aborted("another worker has taken over"));
  }

  /** End the worker; the next question starts another. */
  #end(error: unknown): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#about = null;
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const one of open) one.reject(error);
  }
}

function givenUp(): Aborted {
  return new Aborted("the analysis was given up");
}

function unfetched(base: URL): BrowserError {
  return new BrowserError(
    `mien's worker at ${base.href} could not be started: the file is missing, or this browser is too old for it`,
  );
}

/** Whether there is a graphics card for WebGPU, a real one, and nobody saves data. */
async function hasGraphics(): Promise<boolean> {
  const { connection } = navigator as Navigator & { connection?: { saveData?: boolean } };
  if (!("gpu" in navigator) || connection?.saveData) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter !== null && !adapter.info.isFallbackAdapter;
}

/** Refuse a browser that lacks what the worker needs. */
function demand(): void {
  const needs: [string, boolean][] = [
    ["WebAssembly", typeof WebAssembly === "object"],
    ["workers", typeof Worker === "function"],
    ["OffscreenCanvas", typeof OffscreenCanvas === "function"],
    ["createImageBitmap", typeof createImageBitmap === "function"],
  ];
  const lacking = needs.filter(([, has]) => !has).map(([name]) => name);
  if (lacking.length > 0) {
    throw new BrowserError(`this browser has no ${lacking.join(" and no ")}: mien needs one of 2023 or newer`);
  }
}
