/** Every error that mien raises on purpose: as in Python's `mien.errors`, and what can go wrong in a browser beside it. */

/** Base of the tree: a stable kind, and as message a sentence that says what to do. */
export class MienError extends Error {
  readonly kind: string = "error";

  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** An option has a value that cannot be used. */
export class UsageError extends MienError {
  override readonly kind = "usage";

  /** Sentence for an unknown name, with all choices. */
  static unknown(what: string, name: string, choices: Iterable<string>): UsageError {
    const known = [...choices].sort();
    return new UsageError(`unknown ${what} '${name}': choices: ${known.join(", ") || "none"}`);
  }
}

/** One photo cannot be used; the next one can. */
export class PhotoError extends MienError {
  override readonly kind: string = "photo";
}

/** The file has no bytes. */
export class PhotoEmpty extends PhotoError {
  override readonly kind = "empty";
}

/** The bytes are no picture in a known format. */
export class NotAnImage extends PhotoError {
  override readonly kind = "not_an_image";
}

/** The picture breaks off before its end, or its data is damaged. */
export class PhotoTruncated extends PhotoError {
  override readonly kind = "truncated";
}

/** The picture has more pixels or bytes than the cap allows, or than fit into memory. */
export class PhotoTooLarge extends PhotoError {
  override readonly kind = "too_large";
}

/** The format is known, but this browser cannot decode it. */
export class PhotoUnsupported extends PhotoError {
  override readonly kind = "unsupported";
}

/** A model is missing, malformed, cut short or made for a newer mien. */
export class ModelError extends MienError {
  override readonly kind = "model";
}

/** A file of the package cannot be fetched. */
export class NetworkError extends MienError {
  override readonly kind = "network";
}

/** This browser lacks something that mien needs. */
export class BrowserError extends MienError {
  override readonly kind = "browser";
}

/** The browser gave no memory, or ended the worker. */
export class MemoryError extends MienError {
  override readonly kind = "memory";
}

/** The analysis was given up, as its signal asked. */
export class Aborted extends MienError {
  override readonly kind = "aborted";
}

const TREE = [
  UsageError,
  PhotoError,
  PhotoEmpty,
  NotAnImage,
  PhotoTruncated,
  PhotoTooLarge,
  PhotoUnsupported,
  ModelError,
  NetworkError,
  BrowserError,
  MemoryError,
  Aborted,
];

/** An error on its way between threads. */
export interface ErrorRecord {
  kind: string;
  message: string;
}

/** Any error as a record; what nobody foresaw keeps its words. */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof MienError) return { kind: error.kind, message: error.message };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (outOfMemory(message)) {
    return { kind: "memory", message: "the browser has no memory left for this: close other tabs, or use a smaller photo" };
  }
  return { kind: "error", message: `a fault inside mien, please report it: ${message}` };
}

/** The error that a record stands for, of its own class again. */
export function fromErrorRecord({ kind, message }: ErrorRecord): MienError {
  const found = TREE.find((one) => new one("").kind === kind);
  return found ? new found(message) : new MienError(message);
}

function outOfMemory(message: string): boolean {
  return /out of memory|allocation (size|failed)|bad_alloc|Array buffer allocation|Failed to allocate|memory access out of bounds|Cannot enlarge memory/i.test(
    message,
  );
}
