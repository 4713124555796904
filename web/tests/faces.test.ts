import { test } from "node:test";
import assert from "node:assert/strict";
import { suppress } from "../src/faces/nms.js";
import { align, pointsInBox, resizeChip, similarity } from "../src/faces/align.js";
import { regions } from "../src/faces/regions.js";
import { eyeDistance, sharpness, turn } from "../src/estimate/quality.js";
import { veiled } from "../src/estimate/maps.js";
import { alike, floats, golden, near, raster, unpack } from "./golden.js";

test("suppression keeps what Python keeps, in its order", () => {
  for (const { boxes, scores, threshold, relative, kept } of golden.suppression) {
    assert.deepEqual(suppress(floats(boxes), floats(scores), threshold, relative), kept);
  }
});

test("faces are cut and judged as in Python", () => {
  const source = raster(golden.alignment[0].source);
  for (const { contract, points, matrix, chip, veiled: veil, ...told } of golden.alignment) {
    const box = { left: 0, top: 0, right: 1, bottom: 1 };
    near(similarity(points, contract.landmarks), matrix, 1e-9, "similarity");
    const cut = align(source, { box, score: 1, landmarks: points }, contract);
    alike(cut, raster(chip), "chip");
    alike(veiled(raster(chip)), raster(veil), "veiled", 0.2);
    near([sharpness(raster(chip))], [told.sharpness], 1e-3, "sharpness");
    near([eyeDistance(points, contract), turn(points)], [told.eyes, told.turn], 1e-6, "eyes and turn");
  }
});

test("chips, regions and points without landmarks are Python's", () => {
  const { contract, regions: labels, resized, in_box: inBox } = golden.chips;
  assert.deepEqual([...regions(contract)], [...unpack(labels)]);
  for (const { source, chip } of resized) alike(resizeChip(raster(source), contract), raster(chip), "resized", 0.2);
  for (const { box, points } of inBox) near(pointsInBox(box).flat(), points.flat(), 1e-9, "points");
});
