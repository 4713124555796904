/** Which parts of a face an answer rests on; Python's `mien.estimate.explain` with its method `cam`. */

import type { Raster } from "../cv/raster.js";
import { REGIONS, regions, type RegionName } from "../faces/regions.js";
import { ClassActivation, SIGHT } from "./classActivation.js";
import { round } from "../results.js";
import type { Estimator } from "./estimator.js";
import { laidOut, UNITS, valueOf, veiled, type Target } from "./maps.js";

/** A part of the face. */
export interface Region {
  readonly name: RegionName;
  /** Of the map's weight without signs, 0 to 1. */
  readonly share: number;
  /** The same with signs: above 0 it speaks for older, or for "female". */
  readonly net: number;
  /** The answer when this part is veiled. */
  readonly hidden: number;
}

/** What the map says about the answer for one chip. */
export interface Explanation {
  readonly target: Target;
  readonly method: "cam";
  readonly unit: string;
  /** Expected age in years, or log-odds of "female". */
  readonly value: number;
  /** The answer for the veiled chip. */
  readonly veiled: number;
  /** That with the largest share first. */
  readonly regions: readonly Region[];
  /** A sentence where the answer hardly rests on this face, so that its parts explain little. */
  readonly note: string | null;
  readonly signed: true;
  /** How far around its middle a cell sees, in cells. */
  readonly spread: number;
  readonly map: readonly (readonly number[])[];
}

const ROUNDING = 1e-9;
const LITTLE = { age: 1, gender: 2 }; // years, or percentage points

/** Explain the answer for one chip. */
export async function explain(estimator: Estimator, chip: Raster, target: Target): Promise<Explanation> {
  const cells = await ClassActivation.of(estimator).map(chip, target);
  const veil = veiled(chip);
  const labels = regions(estimator.contract);
  const without = REGIONS.map((_, index) => mixed(chip, veil, labels, index));
  const [value, blank, ...hidden] = (await estimator.estimate([chip, veil, ...without])).map((one) => valueOf(one, target));
  const weights = laidOut(cells, estimator.contract.size, SIGHT);
  const map = Array.from({ length: cells.height }, (_, row) => [
    ...cells.data.subarray(row * cells.width, (row + 1) * cells.width),
  ]);
  const found = parts(weights, labels, hidden);
  return {
    target,
    method: "cam",
    unit: UNITS[target],
    value: value!,
    veiled: blank!,
    regions: found,
    note: noteOn(target, value!, blank!, found),
    signed: true,
    spread: SIGHT,
    map,
  };
}

/** What to say where a veil over the face changes little; Python's `Explanation.note`. */
export function noteOn(
  target: Target,
  value: number,
  veil: number,
  found: readonly Pick<Region, "hidden">[],
): string | null {
  const percent = (odds: number): number => 100 / (1 + Math.exp(-odds));
  const change = (other: number): number =>
    Math.abs(target === "age" ? other - value : percent(other) - percent(value));
  const all = change(veil);
  if (all >= LITTLE[target]) return null;
  const unit = target === "age" ? "years" : "percentage points";
  const none = found.every(({ hidden }) => change(hidden) < LITTLE[target]);
  return (
    `With everything blurred the answer changes by only ${round(all, 1).toFixed(1)} ${unit}: the model says nearly ` +
    "the same of a face that it cannot see" +
    (none
      ? ", and no part matters either. The shares explain nothing here."
      : ". The shares explain little here; what the answer is without a part tells more.")
  );
}

function mixed(chip: Raster, veil: Raster, labels: Uint8Array, index: number): Raster {
  const data = chip.data.slice();
  labels.forEach((label, at) => {
    if (label === index) data.set(veil.data.subarray(3 * at, 3 * at + 3), 3 * at);
  });
  return { ...chip, data };
}

function parts(weights: Float64Array, labels: Uint8Array, hidden: number[]): Region[] {
  const total = weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
  const shares = new Float64Array(REGIONS.length);
  const nets = new Float64Array(REGIONS.length);
  if (total > ROUNDING) {
    weights.forEach((weight, at) => {
      shares[labels[at]!]! += Math.abs(weight) / total;
      nets[labels[at]!]! += weight / total;
    });
  }
  return REGIONS.map((name, k) => ({ name, share: shares[k]!, net: nets[k]!, hidden: hidden[k]! })).sort(
    (a, b) => b.share - a.share,
  );
}
