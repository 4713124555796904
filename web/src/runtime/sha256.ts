/** SHA-256, by the browser where the page is secure, else in JavaScript. */

/** The digest in hexadecimal. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  if (globalThis.crypto?.subtle) return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
  return slowSha256(data);
}

/** The same without the browser's help, which pages over plain http lack (FIPS 180-4). */
export function slowSha256(data: Uint8Array): string {
  const state = Uint32Array.from(START);
  const whole = data.length - (data.length % 64);
  for (let at = 0; at < whole; at += 64) block(state, data, at);
  const rest = data.length - whole;
  const last = new Uint8Array(rest + 9 > 64 ? 128 : 64);
  last.set(data.subarray(whole));
  last[rest] = 0x80;
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(data.length) * 8n);
  for (let at = 0; at < last.length; at += 64) block(state, last, at);
  const out = new Uint8Array(32);
  state.forEach((word, k) => new DataView(out.buffer).setUint32(4 * k, word));
  return hex(out);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n += 1) if (found.every((p) => n % p !== 0)) found.push(n);
  return found;
}

function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * 2 ** 32);
}

const START = primes(8).map((p) => fraction(Math.sqrt(p)));
const ROUNDS = Uint32Array.from(primes(64), (p) => fraction(Math.cbrt(p)));
const words = new Uint32Array(64);

function block(state: Uint32Array, data: Uint8Array, start: number): void {
  for (let k = 0; k < 16; k += 1) {
    const at = start + 4 * k;
    words[k] = (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
  }
  for (let k = 16; k < 64; k += 1) {
    const [a, b] = [words[k - 15]!, words[k - 2]!];
    const low = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3);
    const high = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
    words[k] = words[k - 16]! + low + words[k - 7]! + high;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as number[] as [
    number, number, number, number, number, number, number, number,
  ];
  for (let k = 0; k < 64; k += 1) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[k]! + words[k]!) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, k) => (state[k]! += word));
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
