import { test } from "node:test";
import assert from "node:assert/strict";
import { Tracker } from "../src/video/tracker.js";
import { Average, weightOf } from "../src/video/smooth.js";
import { Follower } from "../src/video/follow.js";
import { readCalibration } from "../src/estimate/calibrate.js";
import type { Face, Photo } from "../src/results.js";
import { emptyPhoto, golden, near, type Golden } from "./golden.js";

const box = ([left, top, right, bottom]: number[]) => ({ left: left!, top: top!, right: right!, bottom: bottom! });

test("boxes are followed as in Python", () => {
  const tracker = new Tracker();
  golden.following.frames.forEach(({ seconds, boxes, tracks, ended }: Golden, index: number) => {
    const found = tracker.update(boxes.map(box), index, seconds);
    assert.deepEqual(found.seen.map((path) => path.number), tracks, `frame ${index}`);
    assert.deepEqual(found.ended.map((path) => path.number), ended, `frame ${index}`);
  });
});

test("views are averaged as in Python", () => {
  const calibration = readCalibration(golden.following.calibration);
  const average = new Average();
  for (const view of golden.following.views) {
    near([weightOf(view.quality)], [view.weight], 1e-6, "weight");
    average.add({ age: { pmf: view.pmf }, quality: view.quality } as Face, view.female);
    const age = average.age(0.9, calibration);
    near([age.years, age.low, age.high], [view.years, view.low, view.high], 1e-4, "age");
    near([average.gender(0.5).probability], [view.gender.probability], 1e-4, "gender");
    near([average.quality], [view.mean_quality], 1e-6, "quality");
  }
});

test("a follower forgets what has gone", () => {
  const follower = new Follower(null, { birth: 2, survive: 0.5 });
  const pmf = Array.from({ length: 117 }, (_, age) => (age === 30 ? 1 : 0));
  const face = {
    box: { left: 0, top: 0, right: 50, bottom: 50 },
    age: { years: 30, median: 30, low: 30, high: 30, level: 0.9, pmf },
    gender: { label: "male", probability: 0.75 },
    quality: { eyes: 50, sharpness: 0.4, turn: 0, flags: [] },
  } as unknown as Face;
  const photo = (faces: Face[]): Photo => emptyPhoto({ faces });
  assert.equal(follower.take(photo([face]), 0).faces[0]!.track, null);
  const second = follower.take(photo([face]), 0.1).faces[0]!;
  assert.equal(second.track, 1);
  near([second.age.years, second.gender.probability], [30, 0.75], 1e-9);
  assert.deepEqual(follower.take(photo([]), 0.2).ended, []);
  const [ended] = follower.take(photo([]), 1).ended;
  assert.deepEqual([ended!.track, ended!.views, ended!.first.frame, ended!.last.frame], [1, 2, 0, 1]);
  assert.deepEqual(follower.rest(), []);
});
