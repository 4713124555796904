import { test } from "node:test";
import assert from "node:assert/strict";
import { heat } from "../src/overlay.js";
import { laidOut } from "../src/estimate/maps.js";
import { golden, near, unpack, raster, type Golden } from "./golden.js";
import type * as Node from "../src/node.js";

/** The built package, as Node gets it. */
const { load, UsageError } = (await import(`${process.env.MIEN_DIST!}/node.js`)) as typeof Node;

const iou = (a: Golden, b: Golden): number => {
  const width = Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left));
  const height = Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const area = (c: Golden): number => (c.right - c.left) * (c.bottom - c.top);
  return (width * height) / (area(a) + area(b) - width * height);
};

for (const model of [...new Set<string>(golden.photos.map((one: Golden) => one.model))]) {
  test(`${model} answers in Node as in Python, and explains itself as there`, async () => {
    const analyzer = await load({ model });
    for (const { pixels, faces, explanations } of golden.photos.filter((one: Golden) => one.model === model)) {
      const { width, height, data } = raster(pixels);
      const photo = await analyzer.analyze({ width, height, data });
      assert.equal(photo.faces.length, faces.length);
      assert.deepEqual([photo.width, photo.height, photo.model], [width, height, model]);
      photo.faces.forEach((face, k) => {
        const told = faces[k];
        assert.ok(iou(face.box, told.box) > 0.97, `box ${k}`);
        near([face.age.years, face.age.median, face.age.low, face.age.high], [told.age.years, told.age.median, told.age.low, told.age.high], 1, "age");
        near([face.age.years], [told.age.years], 0.3, "years");
        if (Math.abs(told.gender.probability - 0.6) > 0.03) assert.equal(face.gender.label, told.gender.label);
        near([face.gender.probability], [told.gender.probability], 0.03, "gender");
        near([face.quality.eyes], [told.quality.eyes], 0.5, "eyes");
        near([face.quality.sharpness], [told.quality.sharpness], 0.02, "sharpness");
        assert.deepEqual(face.quality.flags, told.quality.flags);
      });
      for (const target of ["age", "gender"] as const) {
        const { explanation } = await analyzer.explain({ width, height, data }, { target });
        const told = explanations[target];
        near([explanation.value, explanation.veiled], [told.value, told.veiled], 0.3, target);
        const share = (regions: Golden[]) => Object.fromEntries(regions.map(({ name, share }) => [name, share]));
        const [ours, theirs] = [share([...explanation.regions]), share(told.regions)];
        near(Object.values(ours), Object.keys(ours).map((name) => theirs[name]), 0.02, `${target} regions`);
      }
    }
    await assert.rejects(analyzer.explain({ width: 9, height: 9, data: new Uint8Array(243) }), UsageError);
  });
}

test("maps are laid out and drawn as in Python", () => {
  const { explanations, heat: drawn, laid_out: laid } = golden.photos[0];
  const { map } = explanations.age;
  const cells = { height: map.length, width: map[0].length, data: Float64Array.from(map.flat()) };
  near(laidOut(cells, 96, 1.25), unpack(laid), 1e-3, "laid out");
  const grey = { width: 8, height: 8, data: new Uint8Array(192).fill(128) };
  const out = heat(grey, explanations.age, drawn.shape[0]);
  assert.equal(out.length, 4 * drawn.shape[0] ** 2);
  const expected = unpack(drawn);
  const orange = (at: number, data: ArrayLike<number>, step: number) => data[step * at]! - data[step * at + 2]!;
  let [agree, count] = [0, 0];
  for (let at = 0; at < drawn.shape[0] ** 2; at += 1) {
    const told = orange(at, expected, 3);
    if (Math.abs(told) < 30) continue;
    count += 1;
    agree += Number(Math.sign(orange(at, out, 4)) === Math.sign(told));
  }
  assert.ok(count > 100);
  assert.ok(agree / count > 0.99, `${agree} of ${count} places have the colour of Python`);
});

test("what cannot be is refused", async () => {
  await assert.rejects(load({ model: "mien-x" }), /unknown model 'mien-x': choices: mien-m, mien-s/);
  await assert.rejects(load({ minFace: 5 }), /below 12 pixels/);
  await assert.rejects(load({ levle: 0.9 } as object), /unknown option 'levle'/);
  const analyzer = await load({ model: "mien-s", detector: "whole" });
  const pixels = { width: 9, height: 9, data: new Uint8Array(243) };
  await assert.rejects(analyzer.analyze(pixels, { level: 1 }), /level/);
  assert.equal((await analyzer.analyze(pixels, { abstain: 1 })).faces[0]!.gender.label, "uncertain");
});
