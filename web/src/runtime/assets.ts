/** The files beside the package: fetched once, checked by their hash, and kept in the browser's Cache Storage. */

import { ModelError, NetworkError } from "../errors.js";
import { sha256 } from "./sha256.js";

/** What assets.json says of a file. */
export interface FileEntry {
  readonly sha256: string;
  readonly size: number;
}

/** assets.json: which files there are, by their path from it. */
export interface Manifest {
  readonly format: number;
  readonly version: string;
  readonly models: readonly string[];
  readonly files: Readonly<Record<string, FileEntry>>;
}

export type Bytes = Uint8Array<ArrayBuffer>;

/** Where files come from: the network, or in Node the disk. */
export interface Source {
  /** The bytes at an address, all of them; `fresh` asks past every cache. */
  read(url: URL, fresh: boolean, onBytes?: (count: number) => void): Promise<Bytes>;
}

/** Told while files arrive: bytes so far, and in all. */
export type OnProgress = (loaded: number, total: number) => void;

const CACHE = "mien-files-1";
const FORMAT = 1;

/** Reads files of one folder. */
export class Assets {
  readonly base: URL;
  readonly manifest: Manifest;
  readonly #source: Source;

  private constructor(base: URL, manifest: Manifest, source: Source) {
    this.base = base;
    this.manifest = manifest;
    this.#source = source;
  }

  /** Reads the list of files in a folder; where the network is away, the list of the last visit. */
  static async open(base: URL, source: Source): Promise<Assets> {
    const url = new URL("assets.json", base);
    let bytes: Bytes;
    try {
      bytes = await source.read(url, true);
      await keep(url, bytes);
    } catch (error) {
      const kept = await cached(url);
      if (!kept) throw error;
      bytes = kept;
    }
    return new Assets(base, parse(bytes, url), source);
  }

  /** Bytes that a list of files has in all. */
  size(paths: readonly string[]): number {
    return paths.reduce((sum, path) => sum + (this.manifest.files[path]?.size ?? 0), 0);
  }

  /** The bytes of a file of the list. */
  async read(path: string, onBytes?: (count: number) => void): Promise<Bytes> {
    const entry = this.manifest.files[path];
    if (!entry) throw new ModelError(`${path} is not among the files at ${this.base.href}: build or copy them anew`);
    const url = new URL(path, this.base);
    const key = new URL(url);
    key.searchParams.set("sha256", entry.sha256);
    const kept = await cached(key);
    if (kept && (await sha256(kept)) === entry.sha256) {
      onBytes?.(kept.length);
      return kept;
    }
    let told = "";
    for (const fresh of [false, true]) {
      const bytes = await this.#source.read(url, fresh, fresh ? undefined : onBytes);
      if ((await sha256(bytes)) === entry.sha256) {
        await keep(key, bytes);
        return bytes;
      }
      told = bytes.length === entry.size ? "has other contents than it should" : "is cut short";
    }
    throw new ModelError(`the file ${url.href} ${told}: load the page again, or copy the files anew`);
  }

  /** A file of another folder, checked only where its hash is known. */
  async readFrom(folder: URL, name: string, digest?: string): Promise<Bytes> {
    const url = new URL(name, folder);
    const bytes = await this.#source.read(url, false);
    if (digest !== undefined && (await sha256(bytes)) !== digest) {
      throw new ModelError(`the file ${url.href} is cut short or has other contents than its config.json states`);
    }
    return bytes;
  }
}

/** Reads by `fetch`. */
export const NETWORK: Source = {
  async read(url, fresh, onBytes) {
    let response: Response;
    try {
      response = await fetch(url, { cache: fresh ? "no-cache" : "default", credentials: "same-origin" });
    } catch {
      throw new NetworkError(`${url.href} cannot be fetched: check the connection and try again`);
    }
    if (!response.ok) throw new NetworkError(`${url.href} cannot be fetched: the server answered ${response.status}`);
    try {
      return await drain(response, onBytes);
    } catch {
      throw new NetworkError(`the connection broke off while ${url.href} was fetched: try again`);
    }
  },
};

async function drain(response: Response, onBytes?: (count: number) => void): Promise<Bytes> {
  if (!response.body || !onBytes) return new Uint8Array(await response.arrayBuffer());
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    length += next.value.length;
    onBytes(next.value.length);
  }
  const whole = new Uint8Array(length);
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}

function parse(bytes: Bytes, url: URL): Manifest {
  try {
    const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
    if (manifest.format === FORMAT) return manifest;
  } catch {
    // told below
  }
  throw new ModelError(`${url.href} is no list of mien's files of format ${FORMAT}: copy the files of this version there`);
}

/** What the cache keeps for an address; pages over plain http have none. */
async function cached(key: URL): Promise<Bytes | null> {
  try {
    const found = await (await globalThis.caches.open(CACHE)).match(key);
    return found ? new Uint8Array(await found.arrayBuffer()) : null;
  } catch {
    return null;
  }
}

/** Keeps a file in place of its older versions; a full disk or a private window is no fault. */
async function keep(key: URL, bytes: Bytes): Promise<void> {
  try {
    const cache = await globalThis.caches.open(CACHE);
    for (const old of await cache.keys()) {
      if (new URL(old.url).pathname === key.pathname && old.url !== key.href) await cache.delete(old);
    }
    await cache.put(key, new Response(bytes));
  } catch {
    // fetched again next time
  }
}
