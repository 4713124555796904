/** A model folder as it is: config.json, model.onnx, model.safetensors, age_checks.json; Python's `bundle`. */

import { ModelError, UsageError } from "../errors.js";
import type { CropContract } from "../faces/align.js";
import type { Point } from "../results.js";
import type { Assets, Bytes } from "../runtime/assets.js";
import { readAgeChecks, type AgeChecks } from "./ageCheck.js";
import { readCalibration, type Calibration } from "./calibrate.js";

/** Newest version of config.json that this mien reads. */
export const FORMAT = 1;

const TASK = "age+gender";
const CONFIG = "config.json";
const NETWORK = "model.onnx";
const WEIGHTS = "model.safetensors";
const AGE_CHECKS = "age_checks.json";

/** What config.json says. */
export interface BundleConfig {
  readonly name: string;
  readonly contract: CropContract;
  readonly licence: string;
  readonly calibration: Calibration | null;
  readonly data: readonly string[];
  readonly parameters: number;
  readonly multiplyAdds: number;
  readonly files: Readonly<Record<string, string>>;
}

/** A model, read whole. */
export interface Bundle {
  readonly config: BundleConfig;
  readonly ageChecks: AgeChecks | null;
  readonly network: Bytes;
  readonly weights: Bytes | null;
}

/** Paths of a shipped model's files that predicting needs, those of the package. */
export function pathsOf(assets: Assets, model: string): string[] {
  return [CONFIG, AGE_CHECKS, NETWORK, WEIGHTS]
    .map((name) => `models/${model}/${name}`)
    .filter((path) => path in assets.manifest.files);
}

/** Whether a model is given by the address of its folder rather than by its name. */
export function isAddress(model: string): boolean {
  return model.includes("/");
}

/** Read a model by its name, or by the address of its folder. */
export async function readBundle(
  assets: Assets,
  model: string,
  onBytes?: (count: number) => void,
): Promise<Bundle> {
  if (isAddress(model)) return readFolder(assets, new URL(model.endsWith("/") ? model : `${model}/`, assets.base));
  if (!assets.manifest.models.includes(model)) throw UsageError.unknown("model", model, assets.manifest.models);
  const read = async (name: string): Promise<Bytes | null> => {
    const path = `models/${model}/${name}`;
    return path in assets.manifest.files ? assets.read(path, onBytes) : null;
  };
  const [config, checks, network, weights] = await Promise.all([CONFIG, AGE_CHECKS, NETWORK, WEIGHTS].map(read));
  if (!config || !network) throw new ModelError(`model ${model} has no ${config ? NETWORK : CONFIG}`);
  return assemble(model, config, checks ?? null, network, weights ?? null);
}

async function readFolder(assets: Assets, folder: URL): Promise<Bundle> {
  const config = await assets.readFrom(folder, CONFIG);
  const { files } = readConfig(folder.href, config);
  const read = (name: string): Promise<Bytes> => assets.readFrom(folder, name, files[name]);
  const optional = (name: string): Promise<Bytes | null> => (name in files ? read(name) : Promise.resolve(null));
  const checks = assets.readFrom(folder, AGE_CHECKS, files[AGE_CHECKS]).catch(() => null); // a model may have none
  return assemble(folder.href, config, await checks, await read(NETWORK), await optional(WEIGHTS));
}

function assemble(name: string, config: Bytes, checks: Bytes | null, network: Bytes, weights: Bytes | null): Bundle {
  return {
    config: readConfig(name, config),
    ageChecks: checks ? readAgeChecks(json(`${name}/${AGE_CHECKS}`, checks)) : null,
    network,
    weights,
  };
}

function readConfig(name: string, bytes: Bytes): BundleConfig {
  const file = `${name}/${CONFIG}`;
  const record = json(file, bytes);
  if (!(Number(record.format) <= FORMAT)) {
    throw new ModelError(`${file}: 'format' is ${String(record.format)}, this mien reads up to ${FORMAT}`);
  }
  if (record.task !== TASK) throw new ModelError(`${file}: 'task' is ${String(record.task)}, this mien knows only ${TASK}`);
  const ages = record.ages as { first?: number; last?: number } | undefined;
  if (ages?.first !== 0 || ages.last !== 116) throw new ModelError(`${file}: this mien knows only ages from 0 to 116`);
  const calibration = record.calibration as Record<string, unknown> | null | undefined;
  const licence = record.licence as { name?: string } | undefined;
  return {
    name: String(record.name),
    contract: readContract(file, (record.input as { contract?: unknown } | undefined)?.contract),
    licence: licence?.name ?? "",
    calibration: calibration ? readCalibration(calibration) : null,
    data: ((record.data ?? []) as unknown[]).map(String),
    parameters: Number(record.parameters ?? 0),
    multiplyAdds: Number(record.multiply_adds ?? 0),
    files: (record.files ?? {}) as Record<string, string>,
  };
}

function readContract(file: string, record: unknown): CropContract {
  const { size, landmarks } = (record ?? {}) as { size?: number; landmarks?: Point[] };
  const fine = landmarks?.length === 5 && landmarks.every((point) => point.length === 2 && point.every(Number.isFinite));
  if (!fine || !(Number.isInteger(size) && size! >= 1)) {
    throw new ModelError(`${file}: 'input.contract' has no size and 5 landmarks`);
  }
  return { size: size!, landmarks };
}

function json(file: string, bytes: Bytes): Record<string, unknown> {
  try {
    const record: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof record === "object" && record !== null && !Array.isArray(record)) return record as Record<string, unknown>;
  } catch (error) {
    throw new ModelError(`${file} cannot be read as JSON: ${String(error)}`);
  }
  throw new ModelError(`${file} holds no table of settings`);
}
