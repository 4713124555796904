/** ONNX Runtime: the only module that imports it. */

import * as ort from "onnxruntime-web/wasm";
import { BrowserError, MienError, ModelError } from "../errors.js";
import type { Bytes } from "./assets.js";

export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** A network with one input. */
export interface Network {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Its outputs, those named or all, in order. */
  run(input: Float32Array | Uint8Array, dims: readonly number[], outputs?: readonly string[]): Promise<Tensor[]>;
  release(): Promise<void>;
}

export interface RuntimeFiles {
  /** Address of the glue module. */
  readonly glue: string;
  readonly wasm: Bytes | null;
}

/** Which kernels run a network. */
export type Backend = "wasm" | "webgpu";

/** Set up the runtime, once, before any network is opened. */
export function configure({ glue, wasm }: RuntimeFiles, threads: number): void {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmPaths = { mjs: glue };
  if (wasm) ort.env.wasm.wasmBinary = wasm;
}

/** Threads that WASM may use here: one, unless the page is isolated from other origins. */
export function wasmThreads(wanted: number): number {
  if (wanted > 0) return globalThis.crossOriginIsolated ? wanted : 1;
  return globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2))) : 1;
}

/**
 * Open a network.
 *
 * @param weights external data by the path that the graph names
 */
export async function open(
  model: Bytes,
  what: string,
  backend: Backend,
  weights: Readonly<Record<string, Bytes>> = {},
): Promise<Network> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: [backend],
    graphOptimizationLevel: "all",
    enableMemPattern: false, // it would keep a memory plan for every picture size ever seen
    logSeverityLevel: 3,
    externalData: Object.entries(weights).map(([path, data]) => ({ path, data })),
  };
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(model, options);
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    if (/no available backend|WebAssembly|SIMD/i.test(told)) {
      throw new BrowserError(`this browser cannot run mien's networks: update it (${told})`);
    }
    if (/memory|alloc/i.test(told)) throw error;
    throw new ModelError(`${what} cannot be loaded: ${told}`);
  }
  const [name] = session.inputNames as [string];
  const lost = backend === "webgpu" ? loss() : null;
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(input, dims, outputs = session.outputNames) {
      const tensor =
        input instanceof Uint8Array
          ? new ort.Tensor("uint8", input, dims)
          : new ort.Tensor("float32", input, dims);
      const running = session.run({ [name]: tensor }, outputs);
      const answers = await (lost ? Promise.race([lost, running]) : running);
      return outputs.map((output) => {
        const answer = answers[output]!;
        return { data: answer.data as Float32Array, dims: answer.dims };
      });
    },
    release: () => session.release(),
  };
}

/** Rejects when the graphics card is lost: what runs on it then never ends, or ends with nonsense. */
function loss(): Promise<never> {
  type Device = { lost: Promise<{ message: string }> };
  const device = Promise.resolve(ort.env.webgpu.device as Device | Promise<Device>); // its types say a promise
  const lost = device.then((one) => one.lost).then(({ message }): never => {
    throw new MienError(`the graphics card was lost: ${message}`);
  });
  lost.catch(() => undefined); // nothing may be running
  return lost;
}
