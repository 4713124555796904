/**
 * What mien answers: the records of Python's `mien.results`, with the same names.
 *
 * Numbers come as they were computed; `toRecord` rounds them as `Photo.to_dict()` does.
 */

/** Version of the field names below, that of Python's records. */
export const SCHEMA_VERSION = 1;

export type Point = readonly [x: number, y: number];

/** Rectangle in pixels of the upright photo; right and bottom lie outside it. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Apparent age in years. */
export interface Age {
  /** Expectation of the distribution, the point estimate. */
  readonly years: number;
  readonly median: number;
  /** Ends of the interval. */
  readonly low: number;
  readonly high: number;
  /** The share of true ages that such intervals hold, e.g. 0.9. */
  readonly level: number;
  /** Probability of each whole year 0..116; sums to 1. Left out of records unless it is asked for. */
  readonly pmf?: readonly number[];
}

export type GenderLabel = "female" | "male" | "uncertain";

/** Gender as labelled in the training data, nothing more. */
export interface Gender {
  readonly label: GenderLabel;
  /** Probability of the likelier label, 0.5 to 1. */
  readonly probability: number;
}

/** "vague": the 90 % age interval is wider than 60 years; the model cannot tell, and perhaps this is no face. */
export type Flag = "small" | "blurred" | "turned" | "vague";

/** Degrees clockwise. */
export type Turn = 0 | 90 | 180 | 270;

/** How good a view of the face the model had. */
export interface Quality {
  /** Pixels between the eyes in the picture that the chip was cut from, as if the face looked at the camera. */
  readonly eyes: number;
  /** Share of fine detail. */
  readonly sharpness: number;
  /** Degrees of turn to the right of the picture; null where the detector finds no landmarks. */
  readonly turn: number | null;
  /** With any of them expect less of the estimates. */
  readonly flags: readonly Flag[];
}

/** One face of a photo. */
export interface Face {
  readonly box: Box;
  readonly score: number | null;
  /** Left eye, right eye, nose, left and right mouth corner, left as seen in the picture. */
  readonly landmarks: readonly Point[] | null;
  readonly age: Age;
  readonly gender: Gender;
  readonly quality: Quality;
}

/** Why a photo has no answer. */
export interface Failure {
  readonly kind: string;
  readonly message: string;
}

/** The answer for one photo. */
export interface Photo {
  readonly schema_version: number;
  readonly source: string;
  readonly model: string;
  readonly width: number | null;
  readonly height: number | null;
  /** Size of the picture in which faces were looked for, relative to the photo: below 1 where a big one was reduced. */
  readonly scale: number | null;
  /** By how much the photo was turned to see its faces upright; boxes and landmarks are those of the photo as given. */
  readonly turned: Turn;
  /** Whether the file ends before all of the picture has come. */
  readonly incomplete: boolean;
  /** In descending order of box area. */
  readonly faces: readonly Face[];
  readonly error: Failure | null;
}

/** The likelier label from the probability of "female"; "uncertain" if its probability is below `abstain`. */
export function genderFromFemale(female: number, abstain = 0.5): Gender {
  const [label, probability] = female >= 0.5 ? (["female", female] as const) : (["male", 1 - female] as const);
  return { label: probability < abstain ? "uncertain" : label, probability };
}

/** Rounds to so many decimal places, or to a whole number, ties to the even digit, as Python's `round` does. */
export function round(value: number, digits = 0): number {
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  if (scaled - below === 0.5 && scaled / 10 ** digits === value && Number.isInteger(value * 2 ** 10)) {
    return (below % 2 === 0 ? below : below + 1) / 10 ** digits;
  }
  return Number(value.toFixed(digits));
}

/** Numbers rounded as in Python's `Photo.to_dict()`; the distribution only when it is asked for. */
export function toRecord(photo: Photo, options: { pmf?: boolean } = {}): Photo {
  const { scale, faces } = photo;
  return {
    ...photo,
    scale: scale === null ? null : round(scale, 4),
    faces: faces.map((face) => faceRecord(face, options)),
  };
}

/** One face, rounded. */
export function faceRecord(face: Face, { pmf = false }: { pmf?: boolean } = {}): Face {
  const { box, score, landmarks, gender, quality } = face;
  return {
    box: {
      left: round(box.left, 1),
      top: round(box.top, 1),
      right: round(box.right, 1),
      bottom: round(box.bottom, 1),
    },
    score: score === null ? null : round(score, 4),
    landmarks: landmarks?.map(([x, y]) => [round(x, 1), round(y, 1)] as const) ?? null,
    age: ageRecord(face.age, pmf),
    gender: { label: gender.label, probability: round(gender.probability, 4) },
    quality: {
      eyes: round(quality.eyes, 1),
      sharpness: round(quality.sharpness, 4),
      turn: quality.turn === null ? null : round(quality.turn, 1),
      flags: [...quality.flags],
    },
  };
}

/** Years rounded to a tenth. */
export function ageRecord(age: Age, pmf = false): Age {
  const record: Age = {
    years: round(age.years, 1),
    median: round(age.median, 1),
    low: round(age.low, 1),
    high: round(age.high, 1),
    level: age.level,
  };
  return pmf && age.pmf ? { ...record, pmf: age.pmf.map((mass) => round(mass, 6)) } : record;
}
