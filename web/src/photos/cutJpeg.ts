/**
 * JPEG files that end too early: how much of the picture there is; Python's `mien.photos.cut_jpeg`.
 *
 * The rule: a baseline picture counts where at least three quarters of its rows can be decoded; a progressive one where
 * every coefficient of every component has come at least once, so that only its refinement is missing. The decoder fills
 * the rest of a baseline picture with the last colours.
 */

/** Share of the rows that must be there. */
const ENOUGH = 0.75;

const SOF_BASELINE = new Set([0xc0, 0xc1]);
const SOF_PROGRESSIVE = 0xc2;
const [DHT, SOS, DRI] = [0xc4, 0xda, 0xdd];
const FULL = 64; // coefficients of a block

/** What ends a file that has lost its end. */
export const END = Uint8Array.of(0xff, 0xd9);

/** Whether enough of a JPEG without its end is there. */
export function isEnough(data: Uint8Array): boolean {
  return missing(data) <= 1 - ENOUGH;
}

/** A canonical Huffman code: by length, the first code beyond those of that length, and where its symbols begin. */
interface Code {
  readonly limit: Int32Array;
  readonly offset: Int32Array;
  readonly symbols: Uint8Array;
}

interface Component {
  readonly id: number;
  readonly blocks: number;
  dc: Code | undefined;
  ac: Code | undefined;
}

interface Frame {
  readonly progressive: boolean;
  readonly components: Component[];
  /** MCUs across and down. */
  readonly across: number;
  readonly down: number;
}

/** Share of the rows that cannot be decoded; 1 where there is no telling. */
function missing(data: Uint8Array): number {
  const codes = new Map<number, Code>();
  const come = new Map<number, Set<number>>(); // component -> coefficients that have come, of a progressive picture
  let waiting: (() => void) | null = null; // takes note of a scan once what follows shows that it is whole
  let frame: Frame | null = null;
  let interval = 0;
  for (let at = nextMarker(data, 2); at >= 0; at = nextMarker(data, at)) {
    waiting?.();
    waiting = null;
    const marker = data[at + 1]!;
    const start = at + 4;
    const length = ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
    const part = data.subarray(start, at + 2 + length);
    if (part.length < length - 2 || length < 2) break;
    at += 2 + length;
    if (marker === DHT) readCodes(part, codes);
    else if (marker === DRI) interval = (part[0]! << 8) | part[1]!;
    else if (SOF_BASELINE.has(marker) || marker === SOF_PROGRESSIVE) frame = readFrame(part, marker === SOF_PROGRESSIVE);
    else if (marker === SOS) {
      if (!frame) return 1;
      const count = part[0]!;
      const ids = Array.from({ length: count }, (_, k) => part[1 + 2 * k]!);
      if (!frame.progressive) {
        if (count !== frame.components.length) return 1; // a scan a component: rare, and rows end together
        ids.forEach((id, k) => {
          const component = frame!.components.find((one) => one.id === id);
          if (!component) return;
          component.dc = codes.get(part[2 + 2 * k]! >> 4);
          component.ac = codes.get(16 + (part[2 + 2 * k]! & 15));
        });
        return 1 - rowsOf(frame, data.subarray(at), interval) / frame.down;
      }
      const [first, last, bits] = [part[1 + 2 * count]!, part[2 + 2 * count]!, part[3 + 2 * count]!];
      if (bits >> 4 === 0) {
        waiting = () => {
          for (const id of ids) {
            const set = come.get(id) ?? new Set();
            for (let k = first; k <= last; k += 1) set.add(k);
            come.set(id, set);
          }
        };
      }
    }
  }
  const begun = frame?.progressive && frame.components.every(({ id }) => come.get(id)?.size === FULL);
  return begun ? (1 - ENOUGH) / 2 : 1;
}

/** Where the next marker stands that has a segment; -1 where there is none. */
function nextMarker(data: Uint8Array, from: number): number {
  for (let at = from; at + 1 < data.length; at += 1) {
    if (data[at] !== 0xff) continue;
    const marker = data[at + 1]!;
    if (marker >= 0xc0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd9)) return at;
  }
  return -1;
}

function readCodes(part: Uint8Array, codes: Map<number, Code>): void {
  for (let at = 0; at + 17 <= part.length; ) {
    const key = part[at]!; // class and number: 0 to 15 for DC, 16 to 31 for AC
    const counts = part.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const limit = new Int32Array(17);
    const offset = new Int32Array(17);
    let [code, place] = [0, 0];
    for (let bits = 1; bits <= 16; bits += 1) {
      offset[bits] = place - code;
      code += counts[bits - 1]!;
      place += counts[bits - 1]!;
      limit[bits] = code;
      code *= 2;
    }
    codes.set(key, { limit, offset, symbols: part.subarray(at + 17, at + 17 + total) });
    at += 17 + total;
  }
}

function readFrame(part: Uint8Array, progressive: boolean): Frame | null {
  const [height, width] = [(part[1]! << 8) | part[2]!, (part[3]! << 8) | part[4]!];
  const sampling = Array.from({ length: part[5]! }, (_, k) => [part[6 + 3 * k]!, part[7 + 3 * k]! >> 4, part[7 + 3 * k]! & 15] as const);
  if (!height || !width || sampling.some(([, h, v]) => !h || !v)) return null;
  const alone = sampling.length === 1; // a component alone comes block by block, whatever its sampling
  const [most, tallest] = alone ? [1, 1] : [Math.max(...sampling.map(([, h]) => h)), Math.max(...sampling.map(([, , v]) => v))];
  return {
    progressive,
    components: sampling.map(([id, h, v]) => ({ id, blocks: alone ? 1 : h * v, dc: undefined, ac: undefined })),
    across: Math.ceil(width / (8 * most)),
    down: Math.ceil(height / (8 * tallest)),
  };
}

/** Rows of MCUs that the data of a scan hold, whole. */
function rowsOf({ components, across, down }: Frame, data: Uint8Array, interval: number): number {
  const bits = new Bits(data);
  for (let mcu = 0; mcu < across * down; mcu += 1) {
    if (interval && mcu > 0 && mcu % interval === 0 && !bits.restart()) return Math.floor(mcu / across);
    for (const { blocks, dc, ac } of components) {
      for (let block = 0; block < blocks; block += 1) {
        if (!dc || !ac || !skipBlock(bits, dc, ac)) return Math.floor(mcu / across);
      }
    }
  }
  return down;
}

/** Reads past one block; false where the data end before it does. */
function skipBlock(bits: Bits, dc: Code, ac: Code): boolean {
  bits.skip(bits.symbol(dc));
  for (let k = 1; k < FULL && !bits.over; k += 1) {
    const symbol = bits.symbol(ac);
    const [run, size] = [symbol >> 4, symbol & 15];
    if (size === 0 && run < 15) break; // no more in this block
    k += run;
    bits.skip(size);
  }
  return !bits.over;
}

/** Bits of entropy-coded data; once they are used up, or are none, it is over. */
class Bits {
  over = false;
  readonly #data: Uint8Array;
  #at = 0;
  #byte = 0;
  #left = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  /** The next symbol of a code. */
  symbol({ limit, offset, symbols }: Code): number {
    for (let length = 1, code = 0; length <= 16; length += 1) {
      code = 2 * code + this.#next();
      if (this.over) return 0;
      if (code < limit[length]!) return symbols[code + offset[length]!] ?? 0;
    }
    this.over = true; // no code at all
    return 0;
  }

  skip(count: number): void {
    for (let k = 0; k < count; k += 1) this.#next();
  }

  /** Go past a restart marker; false where there is none. */
  restart(): boolean {
    this.#left = 0;
    const marker = this.#data[this.#at + 1];
    if (this.#data[this.#at] !== 0xff || marker === undefined || marker < 0xd0 || marker > 0xd7) return false;
    this.#at += 2;
    return true;
  }

  #next(): number {
    if (this.#left === 0) {
      const byte = this.#data[this.#at];
      const stuffed = byte === 0xff;
      if (byte === undefined || (stuffed && this.#data[this.#at + 1] !== 0)) {
        this.over = true;
        return 0;
      }
      this.#byte = byte;
      this.#left = 8;
      this.#at += stuffed ? 2 : 1;
    }
    this.#left -= 1;
    return (this.#byte >> this.#left) & 1;
  }
}
