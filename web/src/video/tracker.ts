/** Which box of this frame is the face of which box before: constant motion, overlap and distance; Python's tracker. */

import { UsageError } from "../errors.js";
import type { Box } from "../results.js";

const POSITION_GAIN = 0.85;
const VELOCITY_GAIN = 0.4;
const SIZE_GAIN = 0.5;
const COAST = 0.7;
const MOST_GROWTH = 2;

/** How faces are followed. */
export interface TrackerOptions {
  /** So many frames in a row must show a face before it is a track. */
  readonly birth: number;
  /** Seconds that a track outlasts its face being hidden. */
  readonly survive: number;
  /** Least `nearness` of a box to where its track was expected. */
  readonly nearness: number;
}

export const TRACKER_DEFAULTS: TrackerOptions = { birth: 3, survive: 1, nearness: 0 };

type Pair = [number, number];

/** The way of one face. */
export class Path {
  /** Of the track, from 1 in the order of birth; null before it is born. */
  number: number | null = null;
  hits = 1;
  first: Pair;
  last: Pair;
  #centre: Pair;
  #size: Pair;
  #velocity: Pair = [0, 0];

  constructor(box: Box, index: number, seconds: number) {
    this.first = [index, seconds];
    this.last = [index, seconds];
    this.#centre = centre(box);
    this.#size = size(box);
  }

  /** Where its box should be at a time. */
  expected(seconds: number): Box {
    const ahead = COAST * -Math.expm1(-(seconds - this.last[1]) / COAST);
    const [x, y] = [this.#centre[0] + this.#velocity[0] * ahead, this.#centre[1] + this.#velocity[1] * ahead];
    const [width, height] = this.#size;
    return { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 };
  }

  /** Its face is seen in this box. */
  see(box: Box, index: number, seconds: number): void {
    const elapsed = Math.max(seconds - this.last[1], 1e-6);
    const foreseen = centre(this.expected(seconds));
    const now = centre(box);
    const missed: Pair = [now[0] - foreseen[0], now[1] - foreseen[1]];
    this.#centre = [foreseen[0] + POSITION_GAIN * missed[0], foreseen[1] + POSITION_GAIN * missed[1]];
    const gain = VELOCITY_GAIN / elapsed;
    this.#velocity = [this.#velocity[0] + gain * missed[0], this.#velocity[1] + gain * missed[1]];
    const [width, height] = size(box);
    this.#size = [
      this.#size[0] + SIZE_GAIN * (width - this.#size[0]),
      this.#size[1] + SIZE_GAIN * (height - this.#size[1]),
    ];
    this.last = [index, seconds];
    this.hits += 1;
  }
}

/** Follows boxes through frames; holds what is open now and nothing of the past. */
export class Tracker {
  readonly options: TrackerOptions;
  born = 0;
  open: Path[] = [];

  constructor(options: Partial<TrackerOptions> = {}) {
    this.options = { ...TRACKER_DEFAULTS, ...options };
    const { birth, survive, nearness: least } = this.options;
    if (!(birth >= 1)) throw new UsageError(`a track is born after 1 frame or more, not ${birth}`);
    if (!(survive >= 0)) throw new UsageError(`the seconds a track survives must be 0 or more, not ${survive}`);
    if (!(least >= -1 && least < 1)) throw new UsageError(`the least nearness must lie between -1 and 1, not ${least}`);
  }

  /** Take the boxes of one frame: the path of each, and the tracks that ended before it, in the order of birth. */
  update(boxes: readonly Box[], index: number, seconds: number): { seen: Path[]; ended: Path[] } {
    const pairs = this.#paired(boxes, seconds);
    const seen = boxes.map((box, position) => {
      let path = pairs.get(position);
      if (path) path.see(box, index, seconds);
      else this.open.push((path = new Path(box, index, seconds)));
      if (path.number === null && path.hits >= this.options.birth) path.number = this.born += 1;
      return path;
    });
    const lost = new Set(this.open.filter((path) => this.#lost(path, index, seconds)));
    const ended = [...lost].filter((path) => path.number !== null).sort((a, b) => a.number! - b.number!);
    this.open = this.open.filter((path) => !lost.has(path));
    return { seen, ended };
  }

  /** End all tracks, in the order of birth. */
  close(): Path[] {
    const ended = this.open.filter((path) => path.number !== null).sort((a, b) => a.number! - b.number!);
    this.open = [];
    return ended;
  }

  #lost(path: Path, index: number, seconds: number): boolean {
    if (path.last[0] === index) return false;
    return path.number === null || seconds - path.last[1] > this.options.survive;
  }

  /** Tracks before candidates, and of each the nearest pair first. */
  #paired(boxes: readonly Box[], seconds: number): Map<number, Path> {
    const offers: [candidate: number, far: number, order: number, position: number][] = [];
    this.open.forEach((path, order) => {
      const expected = path.expected(seconds);
      boxes.forEach((box, position) => {
        const near = nearness(expected, box);
        if (near >= this.options.nearness && alike(expected, box)) {
          offers.push([Number(path.number === null), -near, order, position]);
        }
      });
    });
    offers.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3]);
    const pairs = new Map<number, Path>();
    const taken = new Set<number>();
    for (const [, , order, position] of offers) {
      if (taken.has(order) || pairs.has(position)) continue;
      taken.add(order);
      pairs.set(position, this.open[order]!);
    }
    return pairs;
  }
}

/** Overlap over union, less the squared distance of the centres over the squared diagonal of the box around both. */
export function nearness(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left));
  const height = Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const union = area(a) + area(b) - width * height;
  const diagonal = Math.hypot(
    Math.max(a.right, b.right) - Math.min(a.left, b.left),
    Math.max(a.bottom, b.bottom) - Math.min(a.top, b.top),
  );
  if (union <= 0 || diagonal <= 0) return -1;
  const [p, q] = [centre(a), centre(b)];
  return (width * height) / union - (Math.hypot(p[0] - q[0], p[1] - q[1]) / diagonal) ** 2;
}

function alike(a: Box, b: Box): boolean {
  const sides = [a, b].map((box) => Math.sqrt(Math.max(0, area(box)))).sort((p, q) => p - q);
  return sides[1]! <= MOST_GROWTH * sides[0]!;
}

function area(box: Box): number {
  const [width, height] = size(box);
  return width * height;
}

function centre(box: Box): Pair {
  return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
}

function size(box: Box): Pair {
  return [box.right - box.left, box.bottom - box.top];
}
