/** Frames with faces in, tracked faces with averages out, in constant memory; Python's `mien.video.run`. */

import { IDENTITY, type Calibration } from "../estimate/calibrate.js";
import { genderFromFemale, type Age, type Face, type Gender, type Photo } from "../results.js";
import { Average } from "./smooth.js";
import { Tracker, type Path, type TrackerOptions } from "./tracker.js";

/** One face of one frame. */
export interface Seen {
  /** Number of its track, from 1; null in the first frames of a face, before it is sure to be one. */
  readonly track: number | null;
  /** What this frame alone says. */
  readonly face: Face;
  /** Averaged over the track so far. */
  readonly age: Age;
  readonly gender: Gender;
}

/** One face from its first frame to its last. */
export interface Track {
  readonly track: number;
  readonly first: { readonly frame: number; readonly seconds: number };
  readonly last: { readonly frame: number; readonly seconds: number };
  readonly views: number;
  readonly age: Age;
  readonly gender: Gender;
  readonly quality: number;
}

/** One analysed frame. */
export interface TrackedFrame {
  readonly index: number;
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
  readonly faces: readonly Seen[];
  /** Tracks that ended before this frame. */
  readonly ended: readonly Track[];
}

export interface FollowOptions extends Partial<TrackerOptions> {
  readonly level?: number;
  readonly abstain?: number;
}

/** Follows faces from photo to photo of one camera. */
export class Follower {
  readonly #tracker: Tracker;
  readonly #averages = new Map<Path, Average>();
  readonly #calibration: Calibration;
  readonly #level: number;
  readonly #abstain: number;
  #frames = 0;

  constructor(calibration: Calibration | null, { level = 0.9, abstain = 0.6, ...tracker }: FollowOptions = {}) {
    this.#tracker = new Tracker(tracker);
    this.#calibration = calibration ?? IDENTITY;
    this.#level = level;
    this.#abstain = abstain;
  }

  /** Take the answer for one frame, analysed with abstain 0.5, and its time, later than that of the frame before. */
  take(photo: Photo, seconds: number): TrackedFrame {
    const index = this.#frames++;
    const { seen, ended } = this.#tracker.update(
      photo.faces.map((face) => face.box),
      index,
      seconds,
    );
    const faces = photo.faces.map((face, k) => this.#seen(seen[k]!, face));
    const tracks = ended.map((path) => this.#summary(path));
    const still = new Set(this.#tracker.open);
    for (const path of this.#averages.keys()) if (!still.has(path)) this.#averages.delete(path);
    return { index, seconds, width: photo.width ?? 0, height: photo.height ?? 0, faces, ended: tracks };
  }

  /** End the tracks that are still open. */
  rest(): Track[] {
    const tracks = this.#tracker.close().map((path) => this.#summary(path));
    this.#averages.clear();
    return tracks;
  }

  #seen(path: Path, face: Face): Seen {
    const likelier = face.gender.probability;
    const female = face.gender.label === "female" ? likelier : 1 - likelier;
    let average = this.#averages.get(path);
    if (!average) this.#averages.set(path, (average = new Average()));
    average.add(face, female);
    const shown = { ...face, gender: genderFromFemale(female, this.#abstain) };
    if (path.number === null) return { track: null, face: shown, age: face.age, gender: shown.gender };
    return {
      track: path.number,
      face: shown,
      age: average.age(this.#level, this.#calibration),
      gender: average.gender(this.#abstain),
    };
  }

  #summary(path: Path): Track {
    const average = this.#averages.get(path)!;
    this.#averages.delete(path);
    return {
      track: path.number!,
      first: { frame: path.first[0], seconds: path.first[1] },
      last: { frame: path.last[0], seconds: path.last[1] },
      views: average.views,
      age: average.age(this.#level, this.#calibration),
      gender: average.gender(this.#abstain),
      quality: average.quality,
    };
  }
}
