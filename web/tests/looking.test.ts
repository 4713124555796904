import { test } from "node:test";
import assert from "node:assert/strict";
import { blank, type Raster } from "../src/cv/raster.js";
import { UsageError } from "../src/errors.js";
import type { Detection, Detector } from "../src/faces/detection.js";
import { checkRotation, see, turnedBack } from "../src/looking.js";
import { fitted, scaleOf, sideFor, type Fit, type OpenPhoto } from "../src/photos/picture.js";
import type { Point } from "../src/results.js";
import { golden, near, type Golden } from "./golden.js";

/** The detector that golden.py scripts. */
class Scripted implements Detector {
  readonly sure = 0.95;
  readonly asked: (number | null)[][] = [];

  constructor(
    readonly faces: { side: number; scores: number[] }[],
    readonly longer: number,
    readonly aligned: boolean,
  ) {}

  detect({ width, height, data }: Raster, minFace?: number): Promise<Detection[]> {
    this.asked.push([width, height, minFace ?? null]);
    const corners = [0, width - 1, width * height - 1, width * (height - 1)].map((at) => data[3 * at]!);
    const quarter = corners.indexOf(Math.max(...corners));
    const scale = Math.max(width, height) / this.longer;
    const least = minFace === undefined ? 30 : 0.7 * minFace;
    const point: Point = [3, 4];
    return Promise.resolve(
      this.faces
        .filter(({ side, scores }) => side * scale >= least && scores[quarter]! >= 0.8)
        .map(({ side, scores }) => ({
          box: { left: 1, top: 2, right: 1 + side * scale, bottom: 2 + side * scale },
          score: scores[quarter]!,
          landmarks: [point, point, point, point, point],
        })),
    );
  }
}

function marked(width: number, height: number): OpenPhoto {
  return {
    at(fit: Fit) {
      const pixels = blank(...fitted(width, height, sideFor(fit, Math.max(width, height))));
      pixels.data[0] = 255;
      return { pixels, width, height, incomplete: false };
    },
    close() {},
  };
}

test("photos are searched at the sizes and in the turns of Python", async () => {
  let [closer, turned] = [0, 0];
  for (const { size, faces, aligned, minFace, targetSide, rotate, asked, ...told } of golden.looking) {
    const detector = new Scripted(faces, Math.max(...size), aligned);
    const seen = await see(marked(size[0], size[1]), detector, { minFace, targetSide, rotate });
    const what = JSON.stringify({ size, faces, minFace, targetSide, rotate });
    assert.deepEqual(detector.asked.map(([width, height]) => [width, height]), asked.map(([w, h]: number[]) => [w, h]), what);
    near(detector.asked.map(([, , least]) => least ?? -1), asked.map(([, , least]: Golden) => least ?? -1), 1e-6, what);
    assert.equal(seen.degrees, told.degrees, what);
    near([scaleOf(seen.picture)], [told.scale], 1e-9, what);
    assert.deepEqual([seen.turned.width, seen.turned.height], told.turned, what);
    const back = seen.found.map((face) => turnedBack(face, seen.degrees, size[0], size[1]));
    near(back.flatMap(({ box }) => [box.left, box.top, box.right, box.bottom]), told.boxes.flat(), 1e-6, what);
    near(back.flatMap(({ landmarks }) => [...landmarks![0]!]), told.points.flat(), 1e-9, what);
    closer += Number(new Set(asked.map(([w, h]: number[]) => w! * h!)).size > 1);
    turned += Number(seen.degrees !== 0);
  }
  assert.ok(closer > 5 && turned > 5, `${closer} looked closer, ${turned} were turned`);
});

test("where there is no memory for a closer look, the first counts", async () => {
  const scores = [1, 0, 0, 0];
  const detector = new Scripted([{ side: 60, scores }], 4000, false);
  const photo = marked(4000, 3000);
  const poor: OpenPhoto = {
    ...photo,
    at(fit) {
      if (fit.side !== 2048) throw new RangeError("Array buffer allocation failed");
      return photo.at(fit);
    },
  };
  const wish = { minFace: null, targetSide: "auto", rotate: "auto" } as const;
  const [rich, first] = [await see(photo, detector, wish), await see(poor, detector, wish)];
  assert.equal(scaleOf(rich.picture), 1);
  assert.ok(scaleOf(first.picture) < 1);
  assert.equal(first.found.length, 1);
});

test("a turn is a quarter turn", () => {
  for (const good of ["auto", 0, 90, 180, 270]) checkRotation(good);
  for (const bad of [45, "90", true, null, 360]) assert.throws(() => checkRotation(bad), UsageError);
});
