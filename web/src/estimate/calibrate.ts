/** From a raw age distribution to one that can be trusted; Python's `mien.estimate.calibrate`. */

import { ModelError } from "../errors.js";

export const OLDEST = 116;
export const AGES = OLDEST + 1;
const FLOOR = 1e-30;

/** Level and mass. */
export type Pairs = readonly (readonly [number, number])[];

export interface Band {
  readonly first: number;
  readonly masses: Pairs;
}

/** What a model learned on held-out faces about its own confidence. */
export interface Calibration {
  readonly ageTemperature: number;
  readonly genderTemperature: number;
  readonly masses: Pairs;
  readonly bands: readonly Band[];
  readonly doubtful: Pairs;
}

/** Takes the model at its word. */
export const IDENTITY: Calibration = { ageTemperature: 1, genderTemperature: 1, masses: [], bands: [], doubtful: [] };

/** Reads the table of config.json. */
export function readCalibration(record: Record<string, unknown>): Calibration {
  const bands = ((record.bands ?? []) as { first: number; masses: Pairs }[]).map(
    (band): Band => ({ first: finite(band.first), masses: pairs(band.masses) }),
  );
  const calibration: Calibration = {
    ageTemperature: finite(record.age_temperature),
    genderTemperature: finite(record.gender_temperature),
    masses: pairs(record.masses),
    bands,
    doubtful: pairs(record.doubtful ?? []),
  };
  const { ageTemperature, genderTemperature, masses, doubtful } = calibration;
  if (!(ageTemperature > 0 && genderTemperature > 0)) {
    throw new ModelError("the temperatures of the model's calibration must be above 0");
  }
  for (const table of [masses, doubtful, ...bands.map((band) => band.masses)]) {
    const grid = [[0, 0], ...table, [1, 1]] as [number, number][];
    if (!grid.every((pair, k) => k === 0 || (grid[k - 1]![0] < pair[0] && grid[k - 1]![1] <= pair[1]))) {
      throw new ModelError("the levels and masses of the model's calibration must ascend within 0 to 1");
    }
  }
  if (!bands.every((band, k) => k === 0 || bands[k - 1]!.first < band.first)) {
    throw new ModelError("the age bands of the model's calibration must ascend");
  }
  return calibration;
}

function finite(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new ModelError(`the calibration of the model is malformed: ${JSON.stringify(value)} is no number`);
  }
  return value;
}

function pairs(table: unknown): Pairs {
  if (!Array.isArray(table)) throw new ModelError("the calibration of the model is malformed: a table is missing");
  return table.map((pair) => [finite(pair[0]), finite(pair[1])] as const);
}

/** One age distribution, scaled by the temperature. */
export function calibrateAge(pmf: Float32Array, { ageTemperature }: Calibration): Float32Array {
  if (ageTemperature === 1) return pmf;
  const logits = Float64Array.from(pmf, (mass) => Math.log(Math.max(mass, FLOOR)) / ageTemperature);
  return Float32Array.from(softmax(logits));
}

/** One probability of "female", scaled by the temperature. */
export function calibrateFemale(female: number, { genderTemperature }: Calibration): number {
  if (genderTemperature === 1) return female;
  return Math.fround(0.5 * (1 + Math.tanh(logit(female) / genderTemperature / 2)));
}

/** Masses for a face: those of its band, or of poor views where these are larger. */
export function massFor(calibration: Calibration, level: number, years: number, doubtful: boolean): number {
  let table = calibration.masses;
  for (const band of calibration.bands) if (years >= band.first) table = band.masses;
  const mass = read(table, level);
  return doubtful && calibration.doubtful.length > 0 ? Math.max(mass, read(calibration.doubtful, level)) : mass;
}

/** Ages between which the true one lies with probability `level`. */
export function interval(
  pmf: ArrayLike<number>,
  level: number,
  calibration: Calibration,
  doubtful = false,
): [low: number, high: number] {
  const years = expectation(pmf);
  const mass = massFor(calibration, level, years, doubtful);
  const inside = [...scoreOfEachAge(pmf)].map((score) => score <= mass);
  const first = inside.indexOf(true);
  const [low, high] = first < 0 ? [years, years] : [first, inside.lastIndexOf(true)];
  return [Math.min(low, years), Math.max(high, years)];
}

/** Mean age: the estimate with the least squared error. */
export function expectation(pmf: ArrayLike<number>): number {
  let [sum, total] = [0, 0];
  for (let age = 0; age < AGES; age += 1) {
    sum += age * pmf[age]!;
    total += pmf[age]!;
  }
  return sum / total;
}

/** Median age: the estimate with the least absolute error. */
export function median(pmf: ArrayLike<number>): number {
  const cdf = new Float64Array(AGES + 1);
  for (let age = 0; age < AGES; age += 1) cdf[age + 1] = cdf[age]! + pmf[age]!;
  const total = cdf[AGES]!;
  for (let edge = 0; edge <= AGES; edge += 1) cdf[edge]! /= total;
  return (quantile(cdf, 0.5, false) + quantile(cdf, 0.5, true)) / 2;
}

/** The first or last age where the distribution function equals q, within 0 to 116. */
function quantile(cdf: Float64Array, q: number, last: boolean): number {
  const before = cdf.reduce((count, value) => count + Number(last ? value <= q : value < q), 0);
  const right = Math.min(Math.max(before, 1), AGES);
  const step = cdf[right]! - cdf[right - 1]!;
  const share = step > 0 ? (q - cdf[right - 1]!) / step : Number(last);
  return Math.min(Math.max(right - 1.5 + Math.min(Math.max(share, 0), 1), 0), OLDEST);
}

/** The mass of all likelier ages, and half of the age's own. */
function scoreOfEachAge(pmf: ArrayLike<number>): Float64Array {
  const mass = new Float64Array(AGES);
  for (let from = 0; from < AGES; from += 1) {
    const row = SMOOTHING.subarray(AGES * from, AGES * (from + 1));
    for (let to = 0; to < AGES; to += 1) mass[to]! += pmf[from]! * row[to]!;
  }
  const total = mass.reduce((a, b) => a + b, 0);
  const order = [...mass.keys()].sort((a, b) => mass[b]! - mass[a]! || a - b);
  const out = new Float64Array(AGES);
  let sum = 0;
  for (const age of order) {
    const own = mass[age]! / total;
    sum += own;
    out[age] = Math.min(sum - own / 2, 1);
  }
  return out;
}

/** Stated ages are themselves a guess and heap at round numbers, the more the older the face. */
const SMOOTHING = ((): Float64Array => {
  const kernel = new Float64Array(AGES * AGES);
  for (let year = 0; year < AGES; year += 1) {
    const spread = Math.min(Math.max(0.1 * year, 0.05), 3);
    let sum = 0;
    for (let to = 0; to < AGES; to += 1) {
      const weight = Math.exp(-0.5 * ((to - year) / spread) ** 2);
      kernel[AGES * year + to] = weight;
      sum += weight;
    }
    for (let to = 0; to < AGES; to += 1) kernel[AGES * year + to]! /= sum;
  }
  return kernel;
})();

/** Softmax of logits. */
export function softmax(logits: Float64Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Log-odds of a probability, finite even at 0 and 1. */
export function logit(probability: number): number {
  const inside = Math.min(Math.max(probability, 1e-7), 1 - 1e-7);
  return Math.log(inside) - Math.log1p(-inside);
}

function read(table: Pairs, level: number): number {
  let [x0, y0] = [0, 0];
  for (const [x1, y1] of [...table, [1, 1] as const]) {
    if (level <= x1) return y0 + ((y1 - y0) * (level - x0)) / (x1 - x0);
    [x0, y0] = [x1, y1];
  }
  return 1;
}
