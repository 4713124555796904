/** The five steps, once: pictures in, faces found, chips cut, estimated, put into results; Python's `mien.analyzer`. */

import { UsageError } from "./errors.js";
import { blank, type Raster } from "./cv/raster.js";
import { pathsOf, isAddress, readBundle, type Bundle, type BundleConfig } from "./estimate/bundle.js";
import type { AgeChecks } from "./estimate/ageCheck.js";
import { expectation, interval, median } from "./estimate/calibrate.js";
import { Estimator, type Estimate } from "./estimate/estimator.js";
import { explain, type Explanation } from "./estimate/explain.js";
import type { Target } from "./estimate/maps.js";
import { eyeDistance, eyeDistanceOfChip, judge, marked, turn } from "./estimate/quality.js";
import { align, pointsInBox, resizeChip } from "./faces/align.js";
import type { Detection, Detector } from "./faces/detection.js";
import { MTCNN, type Networks } from "./faces/mtcnn.js";
import { Whole } from "./faces/whole.js";
import { see, turnedBack, type Rotation } from "./looking.js";
import { checkChoice, DEFAULTS, detectorOptions, type Choice, type Options } from "./options.js";
import { scaleOf, type OpenPhoto, type Picture } from "./photos/picture.js";
import { genderFromFemale, SCHEMA_VERSION, type Face, type Photo, type Quality, type Turn } from "./results.js";
import type { Assets, Bytes, OnProgress } from "./runtime/assets.js";
import { configure, open, type Backend } from "./runtime/sessions.js";

/** How an engine is started. */
export interface Setup {
  readonly model: string;
  readonly backend: Backend;
  readonly threads: number;
  readonly options: Options;
}

/** Where the runtime's files lie among the package's. */
export interface RuntimePaths {
  readonly glue: string;
  readonly wasm: string;
}

/** What an engine says of itself. */
export interface About {
  readonly config: BundleConfig;
  readonly ageChecks: AgeChecks | null;
  readonly models: readonly string[];
  readonly version: string;
  readonly backend: Backend;
  readonly threads: number;
}

/** A photo with its faces found and cut. */
interface Draft {
  picture: Picture;
  turned: Turn;
  detections: Detection[];
  chips: Raster[];
  qualities: Quality[];
}

/** An explanation with the chip that it is of. */
export interface Explained {
  readonly photo: Photo;
  readonly explanation: Explanation;
  readonly chip: Raster;
}

const MEASURED = 5; // runs, an odd number

const NETS = ["pnet", "rnet", "onet"].map((name) => `mtcnn/${name}.onnx`);

export class Engine {
  readonly about: About;
  readonly #estimator: Estimator;
  readonly #detector: Detector;
  readonly #options: Options;

  private constructor(about: About, estimator: Estimator, detector: Detector, options: Options) {
    this.about = about;
    this.#estimator = estimator;
    this.#detector = detector;
    this.#options = options;
  }

  /** Fetch and open everything. */
  static async start(assets: Assets, setup: Setup, runtime: RuntimePaths, onProgress: OnProgress): Promise<Engine> {
    const { model, backend, threads, options } = setup;
    const searched = options.detector === "mtcnn";
    const paths = [runtime.wasm, ...(searched ? NETS : []), ...(isAddress(model) ? [] : pathsOf(assets, model))];
    const total = assets.size(paths);
    let loaded = 0;
    const onBytes = (count: number): void => onProgress((loaded += count), total);
    const [bundle, wasm, ...nets] = await Promise.all([
      readBundle(assets, model, onBytes),
      assets.read(runtime.wasm, onBytes),
      ...(searched ? NETS.map((path) => assets.read(path, onBytes)) : []),
    ] as [Promise<Bundle>, Promise<Bytes>, ...Promise<Bytes>[]]);
    configure({ glue: new URL(runtime.glue, assets.base).href, wasm }, threads);
    const estimator = await Estimator.load(bundle, backend, options.mirror);
    const detector = searched ? new MTCNN(await openAll(nets), detectorOptions(options)) : new Whole();
    const { models, version } = assets.manifest;
    const { config, ageChecks } = bundle;
    return new Engine({ config, ageChecks, models, version, backend, threads }, estimator, detector, options);
  }

  /** Analyse one photo. */
  async analyze(photo: OpenPhoto, choice: Choice = {}): Promise<Photo> {
    checkChoice(choice);
    const draft = await this.#look(photo, choice.rotate);
    return this.#put(draft, await this.#estimator.estimate(draft.chips), choice);
  }

  /** What the answer for one face rests on; 1 is the largest. */
  async explain(opened: OpenPhoto, target: Target, number: number, choice: Choice = {}): Promise<Explained> {
    if (target !== "age" && target !== "gender") throw UsageError.unknown("target", target, ["age", "gender"]);
    checkChoice(choice);
    const draft = await this.#look(opened, choice.rotate);
    const chip = draft.chips[number - 1];
    if (!chip) throw new UsageError(`face is ${number}, but the number of faces found is ${draft.chips.length}`);
    const photo = this.#put(draft, await this.#estimator.estimate(draft.chips), choice);
    return { photo, explanation: await explain(this.#estimator, chip, target), chip };
  }

  /** Milliseconds that the age network takes for one chip: the median of a few runs after one that does not count. */
  async measure(): Promise<number> {
    const chip = blank(this.#estimator.contract.size, this.#estimator.contract.size);
    const times: number[] = [];
    for (let run = 0; run <= MEASURED; run += 1) {
      const began = performance.now();
      await this.#estimator.raw([chip]);
      if (run > 0) times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[(MEASURED - 1) / 2]!;
  }

  async #look(photo: OpenPhoto, rotate: Rotation = this.#options.rotate): Promise<Draft> {
    const { minFace, targetSide } = this.#options;
    const { picture, turned, found, degrees } = await see(photo, this.#detector, { minFace, targetSide, rotate });
    const { pixels } = turned;
    const { contract } = this.#estimator;
    const { aligned } = this.#detector;
    const chips = found.map((face) => (aligned ? resizeChip(pixels, contract) : align(pixels, face, contract)));
    const qualities = found.map(({ box, landmarks }, k) => {
      const eyes = aligned
        ? eyeDistanceOfChip(Math.min(pixels.width, pixels.height), contract)
        : eyeDistance(landmarks ?? pointsInBox(box), contract);
      return judge(chips[k]!, eyes, landmarks && turn(landmarks));
    });
    const scale = scaleOf(turned);
    const { width, height } = picture;
    const detections = found.map((face) => turnedBack(toPhoto(face, scale), degrees, width, height));
    return { picture, turned: degrees, detections, chips, qualities };
  }

  #put(draft: Draft, estimates: Estimate[], choice: Choice): Photo {
    const { level = this.#options.level, abstain = this.#options.abstain, source = "picture" } = choice;
    const faces = draft.detections.map((found, k): Face => {
      const { pmf, female } = estimates[k]!;
      const quality = draft.qualities[k]!;
      const ends = (at: number) => interval(pmf, at, this.#estimator.calibration, quality.flags.length > 0);
      const [low, high] = ends(level);
      const [youngest, oldest] = ends(DEFAULTS.level);
      return {
        ...found,
        age: { years: expectation(pmf), median: median(pmf), low, high, level, pmf: [...pmf] },
        gender: genderFromFemale(female, abstain),
        quality: marked(quality, oldest - youngest),
      };
    });
    return {
      schema_version: SCHEMA_VERSION,
      source,
      model: this.about.config.name,
      width: draft.picture.width,
      height: draft.picture.height,
      scale: scaleOf(draft.picture),
      turned: draft.turned,
      incomplete: draft.picture.incomplete,
      faces,
      error: null,
    };
  }
}

/** The detector's networks, always by WASM: they are too small to gain by a graphics card. */
async function openAll(nets: Bytes[]): Promise<Networks> {
  const opened = [];
  for (const [k, net] of nets.entries()) opened.push(await open(net, `the detector's file ${NETS[k]!}`, "wasm"));
  return opened as unknown as Networks;
}

/** Coordinates in the decoded picture -> in the full-size photo. */
function toPhoto({ box, score, landmarks }: Detection, scale: number): Detection {
  return {
    box: { left: box.left / scale, top: box.top / scale, right: box.right / scale, bottom: box.bottom / scale },
    score,
    landmarks: landmarks?.map(([x, y]) => [x / scale, y / scale] as const) ?? null,
  };
}
