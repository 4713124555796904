/** Old enough? Thresholds of a model and the decision; Python's `mien.estimate.age_check`. */

import { ModelError, UsageError } from "../errors.js";
import { AGES } from "./calibrate.js";

export type Outcome = "pass" | "fail" | "unsure";

type Thresholds = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** Thresholds on P(age >= limit) of one model: limit -> rate of error -> threshold. */
export interface AgeChecks {
  readonly passing: Thresholds;
  readonly failing: Thresholds;
}

/** One decision rule. */
export interface Rule {
  readonly limit: number;
  /** Probability of being that old, above which a face passes. */
  readonly passAbove: number;
  /** The same, below which it fails. */
  readonly failBelow: number;
}

interface Entry {
  pass_above: Record<string, number>;
  fail_below: Record<string, number>;
}

/** Reads age_checks.json. */
export function readAgeChecks(record: { limits?: Record<string, Entry> }): AgeChecks {
  const passing = new Map<number, Map<number, number>>();
  const failing = new Map<number, Map<number, number>>();
  try {
    for (const [limit, entry] of Object.entries(record.limits!)) {
      passing.set(Number(limit), shares(entry.pass_above));
      failing.set(Number(limit), shares(entry.fail_below));
    }
  } catch (error) {
    throw new ModelError(`the age checks of the model are malformed: ${String(error)}`);
  }
  return { passing, failing };
}

function shares(table: Record<string, number>): Map<number, number> {
  return new Map(
    Object.entries(table).map(([rate, value]) => {
      if (!(typeof value === "number" && value >= 0 && value <= 1)) throw new TypeError(`${value} is no share`);
      return [Number(rate), value];
    }),
  );
}

/** The thresholds for a limit, each of the highest kept rate that is not above the wanted one. */
export function ruleFor(checks: AgeChecks, limit: number, maxFalsePass: number, maxFalseFail: number): Rule {
  const known = [...checks.passing.keys()].sort((a, b) => a - b);
  const passing = checks.passing.get(limit);
  if (!passing) {
    const span = known.length > 0 ? `${known[0]} to ${known.at(-1)}` : "none";
    throw new UsageError(`this model cannot check for an age of ${limit}: it learned the limits ${span}, those for which it was ` +
        "calibrated on 100 faces or more of up to 8 years below and as many above",
    );
  }
  const passAbove = strictest(passing, maxFalsePass, "pass", limit);
  const failBelow = strictest(checks.failing.get(limit)!, maxFalseFail, "fail", limit);
  return { limit, passAbove, failBelow: Math.min(failBelow, passAbove) };
}

/** Decide on one face; a face of poor quality is always "unsure". */
export function decide({ passAbove, failBelow }: Rule, probability: number, doubtful: boolean): Outcome {
  if (doubtful) return "unsure";
  if (probability > passAbove) return "pass";
  return probability < failBelow ? "fail" : "unsure";
}

/** P(age >= limit) of an age distribution. */
export function oldEnough(pmf: ArrayLike<number>, limit: number): number {
  let [older, total] = [0, 0];
  for (let age = 0; age < AGES; age += 1) {
    total += pmf[age]!;
    if (age >= limit) older += pmf[age]!;
  }
  return older / total;
}

/** Refuse what is no rate of error. */
export function checkRate(name: string, rate: number): void {
  if (!(rate > 0 && rate <= 0.5)) {
    throw new UsageError(`${name} is a share of people above 0 and at most 0.5, e.g. 0.01, not ${rate}`);
  }
}

function strictest(kept: ReadonlyMap<number, number>, wanted: number, what: "pass" | "fail", limit: number): number {
  checkRate(what === "pass" ? "the rate of false passes" : "the rate of false fails", wanted);
  const fitting = [...kept.keys()].filter((rate) => rate <= wanted + 1e-12);
  if (fitting.length === 0) {
    const least = kept.size > 0 ? Math.min(...kept.keys()) : 1;
    throw new UsageError(
      `this model has no threshold for at most ${percent(wanted)} false ${what} decisions at ${limit} years: ` +
        `its data warrants ${percent(least)} at least`,
    );
  }
  return kept.get(Math.max(...fitting))!;
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(12))} %`;
}
