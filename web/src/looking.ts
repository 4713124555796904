/**
 * How large a photo must be to see the faces wanted, and which way up; Python's `mien.looking`.
 *
 * A big photo is searched at a reduced size first. Only where small faces turn up there is it read anew and searched at
 * a size that shows them well, once: portraits, the most frequent big photos, pay little for the crowds.
 */

import { turned, type Raster } from "./cv/raster.js";
import { UsageError } from "./errors.js";
import { LEAST_FACE, type Detection, type Detector } from "./faces/detection.js";
import { FIRST_SIDE, scaleOf, type Fit, type OpenPhoto, type Picture, type TargetSide } from "./photos/picture.js";
import { round, type Point, type Turn } from "./results.js";

/** Degrees clockwise to turn photos by before faces are looked for; "auto" tries all where nothing sure is upright. */
export type Rotation = "auto" | Turn;

const ROTATIONS: readonly Rotation[] = ["auto", 0, 90, 180, 270];

/** Without another wish, faces are looked for down to this share of a photo's longer side, but not below 30 pixels. */
const SHARE = 1 / 80;
const FINEST = 25; // pixels of the smallest face in the first look
const CLEAR = 40; // a face of fewer pixels in the first look asks for a second one
const SECOND = 50; // pixels of the smallest face in the second look
const NEARLY = 0.8; // of a photo's size are no reason to reduce it
const THOROUGH = 0.7; // how much smaller the faces are that this look is out for, so as to lose none of the smallest
const SLACK = 0.8; // of the default's smallest face: boxes of small faces are that uncertain
const LEAST_SEEN = 12; // pixels; no detector sees smaller ones

/** What is looked for, and how. */
export interface Wish {
  /** Smallest face in pixels of the photo; null for the default. */
  readonly minFace: number | null;
  /** May fix the size; then the default of `minFace` is 30 pixels of the reduced picture. */
  readonly targetSide: TargetSide;
  readonly rotate: Rotation;
}

/** What was seen. */
export interface Seen {
  /** As the photo was given. */
  readonly picture: Picture;
  /** The same, turned. */
  readonly turned: Picture;
  /** In pixels of the latter. */
  readonly found: readonly Detection[];
  /** Clockwise. */
  readonly degrees: Turn;
}

/** Pixels of the smallest face to look for in a photo whose longer side is `side`. */
export function smallest(minFace: number | null, side: number): number {
  return minFace ?? Math.max(LEAST_FACE, side * SHARE);
}

/** Find the faces of a photo at the size and in the turn that show them. */
export async function see(photo: OpenPhoto, detector: Detector, wish: Wish): Promise<Seen> {
  const { minFace, targetSide } = wish;
  const fixed = targetSide !== "auto" || detector.aligned;
  const look = (picture: Picture, share?: number) => detect(detector, minFace, fixed, picture, share);
  const first: Fit = fixed ? { side: targetSide === "auto" ? FIRST_SIDE : targetSide, share: 0 } : firstFit(minFace);
  let picture = photo.at(first);
  let { turned: upright, found, degrees } = await bestTurn(picture, detector, look, wish.rotate);
  if (!fixed && scaleOf(picture) < 1 && found.some((face) => longer(face) < CLEAR)) {
    const larger = closer(photo, secondFit(minFace, Math.max(picture.width, picture.height)));
    if (larger && scaleOf(larger) > scaleOf(picture)) {
      picture = larger;
      upright = rotated(larger, degrees);
      found = await look(upright, THOROUGH);
    }
  }
  if (!fixed) found = found.filter((face) => wanted(face, picture, minFace));
  return { picture, turned: upright, found, degrees };
}

/** The size of the first look; the default's smallest face has 25 pixels at 2,048 or less. */
function firstFit(minFace: number | null): Fit {
  return { side: FIRST_SIDE, share: minFace === null ? 0 : FINEST / minFace };
}

/** The size of the second look at a photo whose longer side is `side`. */
function secondFit(minFace: number | null, side: number): Fit {
  const closest = Math.max(FIRST_SIDE, round((side * SECOND) / smallest(minFace, side)));
  return { side: closest < NEARLY * side ? closest : null, share: 0 };
}

/** The photo at a larger size; null where there is no memory for it: then the first look counts. */
function closer(photo: OpenPhoto, fit: Fit): Picture | null {
  try {
    return photo.at(fit);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The turn that shows faces: the one asked for, or upright, or else the one in which the surest face is seen. */
async function bestTurn(
  picture: Picture,
  { sure }: Detector,
  look: (picture: Picture) => Promise<Detection[]>,
  rotate: Rotation,
): Promise<{ turned: Picture; found: Detection[]; degrees: Turn }> {
  const at = async (degrees: Turn) => {
    const one = rotated(picture, degrees);
    return { turned: one, found: await look(one), degrees };
  };
  let best = await at(rotate === "auto" ? 0 : rotate);
  if (rotate !== "auto" || sure === null || certainty(best.found) >= sure) return best;
  let surest = sure;
  for (const degrees of [90, 180, 270] as const) {
    const other = await at(degrees);
    const score = certainty(other.found);
    if (score >= surest) [best, surest] = [other, score];
  }
  return best;
}

/** Faces of a picture; `share`: how much smaller the faces are that are looked for than those wanted. */
function detect(
  detector: Detector,
  minFace: number | null,
  fixed: boolean,
  picture: Picture,
  share = 1,
): Promise<Detection[]> {
  const scale = scaleOf(picture);
  const least = share * smallest(minFace, Math.max(picture.width, picture.height)) * scale;
  if ((fixed && minFace === null) || least === (minFace ?? LEAST_FACE)) return detector.detect(picture.pixels);
  return detector.detect(picture.pixels, Math.max(least, LEAST_SEEN));
}

/** Whether a face is as large as asked for; the default is none to the pixel, as boxes are not. */
function wanted(face: Detection, picture: Picture, minFace: number | null): boolean {
  const scale = scaleOf(picture);
  const least = smallest(minFace, Math.max(picture.width, picture.height)) * scale;
  const slack = minFace === null && least > LEAST_FACE * scale ? SLACK : 1;
  return longer(face) >= slack * least;
}

function longer({ box }: Detection): number {
  return Math.max(box.right - box.left, box.bottom - box.top);
}

/** The best score; a detector that gives none is sure. */
function certainty(found: readonly Detection[]): number {
  return found.reduce((most, { score }) => Math.max(most, score ?? 1), -1);
}

/** A picture turned clockwise. */
function rotated(picture: Picture, degrees: Turn): Picture {
  if (degrees === 0) return picture;
  const pixels: Raster = turned(picture.pixels, degrees);
  const { width, height } = picture;
  return { ...picture, pixels, ...(degrees === 180 ? { width, height } : { width: height, height: width }) };
}

/** A face of a picture turned clockwise -> the same face in the picture as it was, which is `width` x `height`. */
export function turnedBack(face: Detection, degrees: Turn, width: number, height: number): Detection {
  if (degrees === 0) return face;
  const back = ([x, y]: Point): Point => {
    if (degrees === 90) return [y, height - x];
    return degrees === 180 ? [width - x, height - y] : [width - y, x];
  };
  const { box, score, landmarks } = face;
  const [x0, y0] = back([box.left, box.top]);
  const [x1, y1] = back([box.right, box.bottom]);
  return {
    box: { left: Math.min(x0, x1), top: Math.min(y0, y1), right: Math.max(x0, x1), bottom: Math.max(y0, y1) },
    score,
    landmarks: landmarks?.map(back) ?? null,
  };
}

/** Refuse what is no turn. */
export function checkRotation(rotate: unknown): void {
  if (!ROTATIONS.includes(rotate as Rotation)) {
    throw new UsageError(`rotate is ${JSON.stringify(rotate)}: give "auto", 0, 90, 180 or 270`);
  }
}
