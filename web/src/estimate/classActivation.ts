/** Class activation maps: what each cell of the last feature map has in the answers; Python's `class_activation`. */

import { ModelError } from "../errors.js";
import type { Raster } from "../cv/raster.js";
import { AGES, expectation, softmax } from "./calibrate.js";
import type { Estimator, Raw } from "./estimator.js";
import { veiled, type Cells, type Target } from "./maps.js";
import { readTensor } from "./safetensors.js";

/** How far around its middle a cell sees, in cells. */
export const SIGHT = 1.25;

const TOLERANCE = 1e-3;
const STEPS = 64;

interface Heads {
  age: Float64Array;
  ageBias: Float64Array;
  gender: Float64Array;
  genderBias: number;
}

export class ClassActivation {
  readonly #estimator: Estimator;
  readonly #heads: Heads;

  private constructor(estimator: Estimator, heads: Heads) {
    this.#estimator = estimator;
    this.#heads = heads;
  }

  /** Of a model that shows its feature map and has linear heads. */
  static of(estimator: Estimator): ClassActivation {
    const { weights, config } = estimator.bundle;
    if (!estimator.showsFeatures || !weights) {
      throw new ModelError(`model ${config.name} has no class activation maps: its network does not show its feature map`);
    }
    const [age, ageBias, gender, genderBias] = ["age.weight", "age.bias", "gender.weight", "gender.bias"].map((name) =>
      readTensor(weights, name),
    );
    return new ClassActivation(estimator, { age: age!, ageBias: ageBias!, gender: gender!, genderBias: genderBias![0]! });
  }

  /** The map of one chip; it adds up to the difference between the answers for the chip and for its veiled copy. */
  async map(chip: Raster, target: Target): Promise<Cells> {
    const [whole, veil] = (await this.#estimator.raw([chip, veiled(chip)], true)) as [Raw, Raw];
    const [pooled, without] = [whole, veil].map((raw) => {
      const mean = pool(raw);
      this.#check(mean, raw);
      return mean;
    }) as [Float64Array, Float64Array];
    const worth = this.#direction(pooled, without, target);
    const [channels, height, width] = whole.dims as [number, number, number];
    const cells = height * width;
    const data = new Float64Array(cells);
    for (let channel = 0; channel < channels; channel += 1) {
      for (let cell = 0; cell < cells; cell += 1) {
        const at = channel * cells + cell;
        data[cell]! += (worth[channel]! * (whole.features![at]! - veil.features![at]!)) / cells;
      }
    }
    return { height, width, data };
  }

  /** What a feature is worth between two points: years or log-odds, calibrated (integrated gradients for the age). */
  #direction(pooled: Float64Array, without: Float64Array, target: Target): Float64Array {
    const { ageTemperature, genderTemperature } = this.#estimator.calibration;
    const { age, gender } = this.#heads;
    if (target === "gender") return gender.map((weight) => weight / genderTemperature);
    const slopes = new Float64Array(AGES);
    for (let step = 0; step < STEPS; step += 1) {
      const share = (step + 0.5) / STEPS;
      const pmf = this.#pmf(without.map((value, k) => value + share * (pooled[k]! - value)), ageTemperature);
      const years = expectation(pmf);
      for (let k = 0; k < AGES; k += 1) slopes[k]! += (pmf[k]! * (k - years)) / STEPS;
    }
    const worth = new Float64Array(pooled.length);
    for (let k = 0; k < AGES; k += 1) {
      const weight = slopes[k]! / ageTemperature;
      for (let channel = 0; channel < worth.length; channel += 1) worth[channel]! += weight * age[k * worth.length + channel]!;
    }
    return worth;
  }

  #pmf(pooled: Float64Array, temperature: number): Float64Array {
    const { age, ageBias } = this.#heads;
    return softmax(ageBias.map((bias, k) => (bias + dot(age.subarray(k * pooled.length), pooled)) / temperature));
  }

  /** The heads on the pooled features must give the network's own answers. */
  #check(pooled: Float64Array, { pmf, female }: Raw): void {
    const { age, gender, genderBias } = this.#heads;
    const fits = age.length === AGES * pooled.length && gender.length === pooled.length;
    if (fits) {
      const away = this.#pmf(pooled, 1).map((mass, k) => Math.abs(mass - pmf[k]!));
      const odds = Math.abs(1 / (1 + Math.exp(-(dot(gender, pooled) + genderBias))) - female);
      if (Math.max(...away, odds) < TOLERANCE) return;
    }
    const { name } = this.#estimator.bundle.config;
    throw new ModelError(`model ${name} has no class activation maps: its answers are not linear in the mean of its feature map`);
  }
}

function pool({ features, dims }: Raw): Float64Array {
  const [channels, height, width] = dims as [number, number, number];
  const cells = height * width;
  const mean = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel += 1) {
    let sum = 0;
    for (let cell = 0; cell < cells; cell += 1) sum += features![channel * cells + cell]!;
    mean[channel] = sum / cells;
  }
  return mean;
}

function dot(weights: Float64Array, values: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < values.length; k += 1) sum += weights[k]! * values[k]!;
  return sum;
}
