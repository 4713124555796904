import { test } from "node:test";
import assert from "node:assert/strict";
import { calibrateAge, calibrateFemale, expectation, IDENTITY, interval, median, readCalibration } from "../src/estimate/calibrate.js";
import { readAgeChecks } from "../src/estimate/ageCheck.js";
import { noteOn } from "../src/estimate/explain.js";
import { checkAge } from "../src/ageCheck.js";
import { ModelError, UsageError } from "../src/errors.js";
import type { Face } from "../src/results.js";
import { emptyPhoto, golden, near, unpack } from "./golden.js";

const AGES = 117;
const all = Float32Array.from(unpack(golden.distributions.pmf));
const pmfs = Array.from({ length: all.length / AGES }, (_, k) => all.subarray(AGES * k, AGES * (k + 1)));

test("temperatures, point estimates and intervals are Python's", () => {
  for (const { calibration: record, pmf, female, ...told } of golden.distributions.cases) {
    const calibration = readCalibration(record);
    const scaled = pmfs.map((one) => calibrateAge(one, calibration));
    near(scaled.flatMap((one) => [...one]), unpack(pmf), 1e-6, "pmf");
    near(golden.distributions.female.map((one: number) => calibrateFemale(one, calibration)), female, 1e-6, "female");
    near(scaled.map(expectation), told.years, 1e-4, "years");
    near(scaled.map(median), told.median, 1e-4, "median");
    for (const { level, doubtful, low, high } of told.intervals) {
      const ends = scaled.map((one, k) => interval(one, level, calibration, doubtful[k]));
      near(ends.map(([from]) => from), low, 1, `low ${level}`  /* a year where rounding decides */);
      near(ends.map(([, to]) => to), high, 1, `high ${level}`);
    }
  }
  const ends = pmfs.map((one) => interval(one, 0.9, IDENTITY));
  near(ends.map(([from]) => from), golden.distributions.identity[0], 1e-4, "low");
  near(ends.map(([, to]) => to), golden.distributions.identity[1], 1e-4, "high");
});

test("a calibration that cannot be is refused", () => {
  const good = golden.distributions.cases[0].calibration;
  for (const bad of [{ age_temperature: 0 }, { masses: [[0.9, 0.5], [0.8, 0.6]] }, { masses: null }, { bands: [{ first: 1, masses: [] }, { first: 1, masses: [] }] }]) {
    assert.throws(() => readCalibration({ ...good, ...bad }), ModelError);
  }
});

test("age checks decide as in Python, and refuse in its words", () => {
  const flags = [[], ["small"], ["blurred", "turned"], ["vague"], ["small", "vague"]] as const;
  for (const { limit, passes, fails, checks, told, refusal } of golden.checks) {
    const known = readAgeChecks(checks);
    const check = (k: number) => {
      const age = { years: 40, median: 40, low: 30, high: 50, level: 0.9, pmf: [...pmfs[k]!] };
      const face = { age, quality: { flags: flags[k % 5]! } } as unknown as Face;
      const photo = emptyPhoto({ faces: [face] });
      return checkAge(photo, known, { minAge: limit, maxFalsePass: passes, maxFalseFail: fails });
    };
    if (refusal) {
      assert.throws(() => check(0), (error) => error instanceof UsageError && error.message === refusal, refusal);
      continue;
    }
    pmfs.forEach((_, k) => {
      const { outcome, faces } = check(k);
      assert.equal(faces[0]!.reason, told[k].reason);
      assert.equal(outcome, told[k].outcome);
      near([faces[0]!.probability], [told[k].probability], 1e-5, "probability");
    });
  }
});

test("an age check of several faces, or none, is unsure", () => {
  const known = readAgeChecks(golden.checks[0].checks);
  const photo = emptyPhoto();
  assert.equal(checkAge(photo, known).reason, "no face was found");
  assert.throws(() => checkAge(photo, null), ModelError);
  assert.throws(() => checkAge(photo, known, { maxFalsePass: 0 }), UsageError);
});

test("where the answer hardly rests on the face, the same is said of it", () => {
  for (const { target, value, veiled, hidden, note } of golden.notes) {
    assert.equal(noteOn(target, value, veiled, [{ hidden }]), note);
  }
  assert.equal(golden.notes.filter(({ note }: { note: string | null }) => note === null).length, 2);
});
