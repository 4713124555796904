/**
 * MTCNN: three small networks in a cascade, each run once over all of its candidates; Python's `mien.faces.mtcnn`.
 *
 * The networks come from a Keras port whose first picture axis is x, so every input is transposed.
 */

import { frame, type Raster } from "../cv/raster.js";
import type { Network } from "../runtime/sessions.js";
import { collect, type Detection, type Detector, type DetectorOptions, type Found } from "./detection.js";
import { ranked, suppress } from "./nms.js";
import { Pyramid } from "./pyramid.js";

const CELL = 12; // P-Net's window, in pixels of a level
const STRIDE = 2;
const R_SIDE = 24;
const O_SIDE = 48;
const P_THRESHOLD = 0.8;
const R_THRESHOLD = 0.7;
const O_THRESHOLD = 0.8;
const P_OVERLAP = 0.7;
const R_OVERLAP = 0.7;
const O_OVERLAP = 0.7;
const LOOKS = 3; // O-Net looks again at candidates that are neither hopeless nor sure
const HOPELESS = 0.05;
const SURE = 0.95;
const MOST_CANDIDATES = 2000;
const R_BATCH = 256;
const O_BATCH = 64;
const STRIP = 1 << 17; // pixels P-Net sees at once

/** P-, R- and O-Net. */
export type Networks = readonly [Network, Network, Network];

/** What one level of the pyramid shows, cell by cell: offsets [X, Y, 4] and scores [X, Y]. */
interface Scan {
  columns: number;
  rows: number;
  offset: Float32Array;
  score: Float32Array;
}

export class MTCNN implements Detector {
  readonly aligned = false;
  readonly sure = SURE;
  readonly #networks: Networks;
  readonly #options: DetectorOptions;

  constructor(networks: Networks, options: DetectorOptions) {
    this.#networks = networks;
    this.#options = options;
  }

  async detect(picture: Raster, minFace?: number): Promise<Detection[]> {
    const [pNet, rNet, oNet] = this.#networks;
    const pyramid = new Pyramid(picture, R_SIDE);
    const proposed = await propose(pNet, pyramid, Math.max(minFace ?? this.#options.minFace, CELL));
    const refined = await refine(rNet, pyramid, proposed);
    const found = await decide(oNet, pyramid, refined, this.#options.threshold ?? O_THRESHOLD);
    return collect(this.#options, picture, found, minFace);
  }
}

/** P-Net over all levels, which are octaves: squares [N, 4] that may hold a face. */
async function propose(net: Network, pyramid: Pyramid, minFace: number): Promise<Float32Array> {
  const scale = CELL / (Math.SQRT2 * minFace);
  const first = pyramid.shrink(Math.ceil(pyramid.width * scale), Math.ceil(pyramid.height * scale));
  let unitX = pyramid.width / first.width;
  let unitY = pyramid.height / first.height;
  const windows: number[] = [];
  const offsets: number[] = [];
  const scores: number[] = [];
  for (const level of new Pyramid(first, CELL).octaves) {
    // The last level is smaller than the window: a face that fills the picture is seen in a black frame.
    const frameX = Math.floor(Math.max(CELL + STRIDE - level.width, 0) / 2);
    const frameY = Math.floor(Math.max(CELL + STRIDE - level.height, 0) / 2);
    const { columns, rows, offset, score } = await scan(net, frame(level, frameX, frameY));
    for (let x = 0; x < columns; x += 1) {
      for (let y = 0; y < rows; y += 1) {
        const at = x * rows + y;
        if (!(score[at]! >= P_THRESHOLD) || !isPeak(score, columns, rows, x, y)) continue;
        const left = STRIDE * x - frameX;
        const top = STRIDE * y - frameY;
        windows.push(left * unitX, top * unitY, (left + CELL) * unitX, (top + CELL) * unitY);
        offsets.push(...offset.subarray(4 * at, 4 * at + 4));
        scores.push(score[at]!);
      }
    }
    unitX *= 2;
    unitY *= 2;
  }
  const boxes = Float32Array.from(windows);
  const best = ranked(Float32Array.from(scores)).slice(0, MOST_CANDIDATES);
  const kept = take(boxes, best, 4);
  const stays = suppress(kept, take(Float32Array.from(scores), best, 1), P_OVERLAP);
  return square(shift(take(kept, stays, 4), take(take(Float32Array.from(offsets), best, 4), stays, 4)));
}

/** The paper's suppression within a level: the best of its eight neighbours. */
function isPeak(score: Float32Array, columns: number, rows: number, x: number, y: number): boolean {
  const own = score[x * rows + y]!;
  for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, columns - 1); u += 1) {
    for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, rows - 1); v += 1) {
      if (score[u * rows + v]! > own) return false;
    }
  }
  return true;
}

/** Every cell of a level, in strips of bounded size. */
async function scan(net: Network, level: Raster): Promise<Scan> {
  const { width, height } = level;
  const input = normalised(level.data, 1, height, width);
  const margin = CELL - STRIDE;
  const step = Math.max(Math.floor(Math.floor(STRIP / height) / STRIDE) * STRIDE, STRIDE);
  const parts: { offset: Float32Array; score: Float32Array; columns: number; rows: number }[] = [];
  for (let start = 0; start < width - margin; start += step) {
    const end = Math.min(start + step + margin, width);
    const strip = input.subarray(3 * start * height, 3 * end * height);
    const [offset, score] = await net.run(strip, [1, end - start, height, 3]);
    const [, columns, rows] = score!.dims as [number, number, number];
    parts.push({ offset: offset!.data, score: score!.data, columns, rows });
  }
  const columns = parts.reduce((sum, one) => sum + one.columns, 0);
  const rows = parts[0]!.rows;
  const offset = new Float32Array(4 * columns * rows);
  const score = new Float32Array(columns * rows);
  let done = 0;
  for (const one of parts) {
    offset.set(one.offset, 4 * done);
    for (let cell = 0; cell < one.columns * rows; cell += 1) score[done + cell] = one.score[2 * cell + 1]!;
    done += one.columns * rows;
  }
  return { columns, rows, offset, score };
}

/** R-Net: the squares that still look like faces, moved onto them. */
async function refine(net: Network, pyramid: Pyramid, squares: Float32Array): Promise<Float32Array> {
  const [offset, probability] = await classify(net, pyramid, squares, R_SIDE, R_BATCH, [4, 2]);
  const score = second(probability!);
  const kept = indices(score, (value) => value >= R_THRESHOLD);
  const boxes = shift(take(squares, kept, 4), take(offset!, kept, 4));
  return square(take(boxes, suppress(boxes, take(score, kept, 1), R_OVERLAP), 4));
}

/** O-Net: the faces. Looking again from the corrected box finds more than half of those that a single look misses. */
async function decide(net: Network, pyramid: Pyramid, squares: Float32Array, threshold: number): Promise<Found> {
  const faces = distinct(await look(net, pyramid, squares), Math.min(HOPELESS, threshold));
  let unsure = indices(faces.scores, (value) => value < SURE);
  for (let again = 1; again < LOOKS && unsure.length > 0; again += 1) {
    const news = await look(net, pyramid, square(take(faces.boxes, unsure, 4)));
    const better = unsure.map((_, k) => k).filter((k) => news.scores[k]! > faces.scores[unsure[k]!]!);
    for (const k of better) {
      const at = unsure[k]!;
      faces.scores[at] = news.scores[k]!;
      faces.boxes.set(news.boxes.subarray(4 * k, 4 * k + 4), 4 * at);
      faces.points.set(news.points.subarray(10 * k, 10 * k + 10), 10 * at);
    }
    unsure = better.map((k) => unsure[k]!).filter((at) => faces.scores[at]! < SURE);
  }
  return distinct(faces, threshold);
}

/** The faces that score enough, each once. */
function distinct({ boxes, scores, points }: Found, threshold: number): Found {
  const enough = indices(scores, (value) => value >= threshold);
  const stays = suppress(take(boxes, enough, 4), take(scores, enough, 1), O_OVERLAP, "smaller");
  const kept = stays.map((k) => enough[k]!);
  return { boxes: take(boxes, kept, 4), scores: take(scores, kept, 1), points: take(points, kept, 10) };
}

/** One run of O-Net: box, score and landmarks for every square. */
async function look(net: Network, pyramid: Pyramid, squares: Float32Array): Promise<Found> {
  const [offset, marks, probability] = await classify(net, pyramid, squares, O_SIDE, O_BATCH, [4, 10, 2]);
  const points = new Float32Array(marks!.length);
  for (let k = 0; k < squares.length / 4; k += 1) {
    const [left, top] = [squares[4 * k]!, squares[4 * k + 1]!];
    const [wide, high] = [squares[4 * k + 2]! - left, squares[4 * k + 3]! - top];
    for (let p = 0; p < 5; p += 1) {
      points[10 * k + 2 * p] = left + wide * marks![10 * k + p]!;
      points[10 * k + 2 * p + 1] = top + high * marks![10 * k + 5 + p]!;
    }
  }
  return { boxes: shift(squares, offset!), scores: second(probability!), points };
}

/** All outputs of R-Net or O-Net, in batches of bounded size; `widths` are the numbers a square has in each. */
async function classify(
  net: Network,
  pyramid: Pyramid,
  squares: Float32Array,
  size: number,
  batch: number,
  widths: number[],
): Promise<Float32Array[]> {
  const count = squares.length / 4;
  const outputs = widths.map((width) => new Float32Array(width * count));
  for (let start = 0; start < count; start += batch) {
    const some = squares.subarray(4 * start, 4 * Math.min(start + batch, count));
    const number = some.length / 4;
    const input = normalised(pyramid.crop(some, size), number, size, size);
    const answers = await net.run(input, [number, size, size, 3]);
    answers.forEach((answer, index) => outputs[index]!.set(answer.data, widths[index]! * start));
  }
  return outputs;
}

/** RGB bytes [N, rows, columns, 3] -> floats [N, columns, rows, 3] about 0. */
function normalised(pixels: Uint8Array, count: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(pixels.length);
  let to = 0;
  for (let k = 0; k < count; k += 1) {
    const start = 3 * k * rows * columns;
    for (let x = 0; x < columns; x += 1) {
      for (let y = 0, from = start + 3 * x; y < rows; y += 1, from += 3 * columns, to += 3) {
        out[to] = (pixels[from]! - 127.5) * 0.0078125;
        out[to + 1] = (pixels[from + 1]! - 127.5) * 0.0078125;
        out[to + 2] = (pixels[from + 2]! - 127.5) * 0.0078125;
      }
    }
  }
  return out;
}

/** Boxes moved by offsets, which count in widths and heights of the box. */
function shift(boxes: Float32Array, offset: Float32Array): Float32Array {
  const out = new Float32Array(boxes.length);
  for (let k = 0; k < boxes.length; k += 4) {
    const sides = [boxes[k + 2]! - boxes[k]!, boxes[k + 3]! - boxes[k + 1]!];
    for (let side = 0; side < 4; side += 1) out[k + side] = boxes[k + side]! + offset[k + side]! * sides[side % 2]!;
  }
  return out;
}

/** Squares around the same centres, as wide as the longer side. */
function square(boxes: Float32Array): Float32Array {
  const out = new Float32Array(boxes.length);
  for (let k = 0; k < boxes.length; k += 4) {
    const x = (boxes[k]! + boxes[k + 2]!) / 2;
    const y = (boxes[k + 1]! + boxes[k + 3]!) / 2;
    const half = Math.max(boxes[k + 2]! - boxes[k]!, boxes[k + 3]! - boxes[k + 1]!, 0) / 2;
    out.set([x - half, y - half, x + half, y + half], k);
  }
  return out;
}

function take(rows: Float32Array, which: number[], width: number): Float32Array {
  const out = new Float32Array(which.length * width);
  which.forEach((row, k) => out.set(rows.subarray(width * row, width * (row + 1)), width * k));
  return out;
}

function second(pairs: Float32Array): Float32Array {
  return Float32Array.from({ length: pairs.length / 2 }, (_, k) => pairs[2 * k + 1]!);
}

function indices(values: Float32Array, holds: (value: number) => boolean): number[] {
  return Array.from(values.keys()).filter((k) => holds(values[k]!));
}
