import { test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { isEnough } from "../src/photos/cutJpeg.js";
import { isWhole, rejection, sniff, statedSize } from "../src/photos/formats.js";
import { fromPixels } from "../src/photos/picture.js";
import { sha256, slowSha256 } from "../src/runtime/sha256.js";
import { round, toRecord } from "../src/results.js";
import { NotAnImage, fromErrorRecord, PhotoTooLarge, toErrorRecord } from "../src/errors.js";
import { emptyPhoto, golden, type Golden } from "./golden.js";

const root = process.env.MIEN_ROOT!;

test("bytes are told apart as in Python", () => {
  for (const { head, format, told } of golden.files) {
    const data = Uint8Array.from(Buffer.from(head, "base64"));
    assert.equal(sniff(data), format);
    if (told) assert.equal(rejection(data).message.split(": give")[0], told.split(": give")[0]);
  }
});

test("sizes are read before anything is decoded", () => {
  const read = (name: string) => new Uint8Array(readFileSync(`${root}/tests/golden/${name}`));
  for (const [name, format] of [["rgb.png", "PNG"], ["plain.gif", "GIF"], ["plain.webp", "WEBP"], ["lossless.webp", "WEBP"], ["alpha.webp", "WEBP"], ["rgb.bmp", "BMP"], ["progressive.jpg", "JPEG"], ["plain.avif", "AVIF"]] as const) {
    const size = statedSize(read(name), format);
    const { width, height } = golden.sizes[name];
    assert.deepEqual(size, [width, height], name);
  }
});

test("a file that breaks off is told from a whole one", () => {
  const hopper = new Uint8Array(readFileSync(`${root}/examples/hopper.jpg`));
  assert.ok(isWhole(hopper, "JPEG"));
  for (const length of [3, 400, 9000, hopper.length - 2]) assert.ok(!isWhole(hopper.subarray(0, length), "JPEG"), `${length}`);
  const png = new Uint8Array(readFileSync(`${root}/tests/golden/rgb.png`));
  assert.ok(isWhole(png, "PNG"));
  assert.ok(!isWhole(png.subarray(0, png.length - 13), "PNG"));
});

test("of a JPEG that ends too early as much must be there as in Python", () => {
  for (const { data: text, told } of golden.cuts) {
    const data = Uint8Array.from(Buffer.from(text, "base64"));
    const ours = told.map(([length]: Golden) => isEnough(data.subarray(0, length)));
    const differs = told.filter(([, theirs]: Golden, k: number) => (theirs !== null) !== ours[k]).map(([length]: Golden) => length);
    // Python counts rows, here rows of blocks count: at the edge a length or two may fall on the other side.
    assert.ok(differs.length <= 2, `${data.length} bytes: ${differs}, ${JSON.stringify(told)}, ${JSON.stringify(ours)}`);
    assert.ok(ours.includes(true) && ours.includes(false));
  }
});

test("pixels must be as many as their size says, and transparency is laid on white", () => {
  assert.throws(() => fromPixels({ data: new Uint8Array(10), width: 2, height: 2 }), NotAnImage);
  const clear = fromPixels({ data: new Uint8Array([0, 0, 0, 0, 9, 9, 9, 255]), width: 2, height: 1 }).at({ side: null, share: 0 });
  assert.deepEqual([...clear.pixels.data], [255, 255, 255, 9, 9, 9]);
});

test("the digest without the browser's help is the same", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 1000]) {
    const data = Uint8Array.from({ length }, (_, k) => (k * 37) & 255);
    assert.equal(slowSha256(data), await sha256(data), `${length} bytes`);
  }
});

test("numbers are rounded as Python rounds them", () => {
  for (const [value, digits, expected] of [[0.25, 1, 0.2], [0.35, 1, 0.3], [2.675, 2, 2.67], [1234.5678, 3, 1234.568], [-0.25, 1, -0.2], [7, 1, 7]] as const) {
    assert.equal(round(value, digits), expected, `${value}`);
  }
  const photo = emptyPhoto({ scale: 0.123456 });
  assert.deepEqual(toRecord(photo), { ...photo, scale: 0.1235 });
});

test("errors keep their class between threads", () => {
  const back = fromErrorRecord(toErrorRecord(new PhotoTooLarge("too many")));
  assert.ok(back instanceof PhotoTooLarge);
  assert.equal(back.message, "too many");
  assert.equal(toErrorRecord(new RangeError("Array buffer allocation failed")).kind, "memory");
  assert.equal(toErrorRecord(new TypeError("odd")).kind, "error");
});
