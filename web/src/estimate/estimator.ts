/** Chips in, calibrated age distributions and gender probabilities out; Python's `mien.estimate.estimator`. */

import { ModelError } from "../errors.js";
import { mirror as mirrored, type Raster } from "../cv/raster.js";
import type { CropContract } from "../faces/align.js";
import { open, type Backend, type Network } from "../runtime/sessions.js";
import type { Bundle } from "./bundle.js";
import { AGES, calibrateAge, calibrateFemale, IDENTITY, type Calibration } from "./calibrate.js";

/** Last feature map of the network, where it shows it. */
export const FEATURES = "feature_map";

const INPUT = "chips";
const OUTPUTS = ["age_pmf", "p_female"] as const;
const BATCH = 8;

/** The answer for one chip, calibrated. */
export interface Estimate {
  readonly pmf: Float32Array;
  readonly female: number;
}

/** The network's own answer for one chip. */
export interface Raw extends Estimate {
  /** [C, h, w], where it was asked for. */
  readonly features: Float32Array | null;
  readonly dims: readonly number[];
}

export class Estimator {
  readonly bundle: Bundle;
  readonly calibration: Calibration;
  readonly #network: Network;
  readonly #mirror: boolean;

  private constructor(bundle: Bundle, network: Network, mirror: boolean) {
    this.bundle = bundle;
    this.calibration = bundle.config.calibration ?? IDENTITY;
    this.#network = network;
    this.#mirror = mirror;
  }

  /** Load the network of a model. */
  static async load(bundle: Bundle, backend: Backend, mirror: boolean): Promise<Estimator> {
    const what = `model ${bundle.config.name}`;
    const weights = bundle.weights ? { "model.safetensors": bundle.weights } : {};
    const network = await open(bundle.network, what, backend, weights);
    if (network.inputs[0] !== INPUT || !OUTPUTS.every((name) => network.outputs.includes(name))) {
      throw new ModelError(`${what} maps ${network.inputs.join()} to ${network.outputs.join()}, expected ${INPUT} to ${OUTPUTS.join()}`);
    }
    return new Estimator(bundle, network, mirror);
  }

  get contract(): CropContract {
    return this.bundle.config.contract;
  }

  get showsFeatures(): boolean {
    return this.#network.outputs.includes(FEATURES);
  }

  /** Estimate age and gender of chips cut to the contract. */
  async estimate(chips: readonly Raster[]): Promise<Estimate[]> {
    const own = await this.raw(chips);
    const others = this.#mirror ? await this.raw(chips.map(mirrored)) : [];
    return own.map((answer, k) => {
      const other = others[k];
      const pmf = other ? answer.pmf.map((mass, age) => (mass + other.pmf[age]!) / 2) : answer.pmf;
      const female = other ? (answer.female + other.female) / 2 : answer.female;
      return { pmf: calibrateAge(pmf, this.calibration), female: calibrateFemale(female, this.calibration) };
    });
  }

  /** What the network itself says, not calibrated; on demand with its last feature map. */
  async raw(chips: readonly Raster[], features = false): Promise<Raw[]> {
    const answers: Raw[] = [];
    for (let start = 0; start < chips.length; start += BATCH) {
      answers.push(...(await this.#run(chips.slice(start, start + BATCH), features)));
    }
    return answers;
  }

  async #run(chips: readonly Raster[], features: boolean): Promise<Raw[]> {
    const { size } = this.contract;
    const bytes = 3 * size * size;
    const input = new Uint8Array(bytes * chips.length);
    chips.forEach((chip, k) => input.set(chip.data, k * bytes));
    const names = features ? [...OUTPUTS, FEATURES] : [...OUTPUTS];
    const [pmf, female, map] = await this.#network.run(input, [chips.length, size, size, 3], names);
    if (pmf!.data.length !== AGES * chips.length || female!.data.length !== chips.length) {
      throw new ModelError(`model ${this.bundle.config.name} answers in another shape than expected`);
    }
    return chips.map((_, k) => {
      const own = pmf!.data.slice(AGES * k, AGES * (k + 1));
      if (!own.every(Number.isFinite) || !Number.isFinite(female!.data[k])) {
        throw new ModelError(`model ${this.bundle.config.name} answered with something that is no number: its weights are damaged`);
      }
      const length = map ? map.data.length / chips.length : 0;
      return {
        pmf: own,
        female: female!.data[k]!,
        features: map ? map.data.slice(length * k, length * (k + 1)) : null,
        dims: map ? map.dims.slice(1) : [],
      };
    });
  }
}
