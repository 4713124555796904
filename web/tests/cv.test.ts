import { test } from "node:test";
import assert from "node:assert/strict";
import { resizeArea, resizeLinear } from "../src/cv/resize.js";
import { part } from "../src/cv/raster.js";
import { reduce, reduction } from "../src/photos/picture.js";
import { Pyramid } from "../src/faces/pyramid.js";
import { alike, floats, golden, raster, type Golden } from "./golden.js";

test("resizing by area is OpenCV's", () => {
  const { source, area } = golden.resizing;
  const whole = part(raster(source), 0, 0, 120, 90);
  for (const { size, out } of area) alike(resizeArea(whole, size[0], size[1]), raster(out), `to ${size}`);
});

test("resizing by straight lines is OpenCV's", () => {
  const { source, linear } = golden.resizing;
  const small = part(raster(source), 0, 0, 17, 20);
  for (const { size, out } of linear) alike(resizeLinear(small, size[0], size[1]), raster(out), `to ${size}`, 0.2);
});

test("the pyramid is Python's", () => {
  const { source, octaves, shrink, squares, crops } = golden.pyramid;
  const made = new Pyramid(raster(source), 24);
  assert.equal(made.octaves.length, octaves.length);
  made.octaves.forEach((octave, k) => alike(octave, raster(octaves[k]), `octave ${k}`));
  for (const { size, out } of shrink) alike(made.shrink(size[0], size[1]), raster(out), `shrunk to ${size}`);
  for (const size of [24, 48]) {
    const { shape, ...rest } = crops[size];
    const flat = { ...rest, shape: [shape[0] * size, size] };
    alike({ width: size, height: shape[0] * size, data: made.crop(floats(squares), size) }, raster(flat), `crops ${size}`);
  }
});

test("large photos come to the sizes of Python", () => {
  for (const one of golden.reductions.filter(({ to }: Golden) => to)) {
    const { size } = reduction(one.size[0], one.size[1], 2048, one.jpeg);
    assert.deepEqual(size, one.to, JSON.stringify(one));
  }
});

test("a photo is reduced while it is read", () => {
  const { source, side, out } = golden.reductions.find((one: Golden) => one.source);
  const { width, height, data } = raster(source);
  const rows = (top: number, bottom: number): Uint8Array => {
    const rgba = new Uint8Array(4 * width * (bottom - top)).fill(255);
    for (let k = 0; k < width * (bottom - top); k += 1) rgba.set(data.subarray(3 * (top * width + k), 3 * (top * width + k) + 3), 4 * k);
    return rgba;
  };
  alike(reduce(rows, width, height, reduction(width, height, side, false)), raster(out), "reduced", 0.1);
});
