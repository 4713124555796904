/** Builds dist/: the modules and their types, the workers, and ONNX Runtime's files; prints what a visitor downloads. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const BUDGET = 150_000; // bytes of JavaScript, gzipped, that one visit may take
const RUNTIMES = { wasm: "ort-wasm-simd-threaded", webgpu: "ort-wasm-simd-threaded.asyncify" };

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist`;
const ort = `${root}node_modules/onnxruntime-web/dist`;

/** What all bundles share; `runtime` names the files of ONNX Runtime that a bundle opens. */
function options(entry, out, runtime) {
  return {
    entryPoints: [`${root}src/${entry}`],
    outfile: `${dist}/${out}`,
    bundle: true,
    format: "esm",
    target: "es2023",
    minify: true,
    legalComments: "linked",
    logLevel: "warning",
    conditions: ["onnxruntime-web-use-extern-wasm"],
    define: {
      RUNTIME_GLUE: JSON.stringify(`ort/${runtime}.mjs`),
      RUNTIME_WASM: JSON.stringify(`ort/${runtime}.wasm`),
    },
  };
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(`${dist}/ort`, { recursive: true });
const webgpu = { alias: { "onnxruntime-web/wasm": "onnxruntime-web/webgpu" } };
const node = { platform: "node", alias: { "onnxruntime-web/wasm": `${ort}/ort.node.min.mjs` } };
await Promise.all([
  build(options("index.ts", "index.js", RUNTIMES.wasm)),
  build(options("worker.ts", "worker.js", RUNTIMES.wasm)),
  build({ ...options("worker.ts", "worker-webgpu.js", RUNTIMES.webgpu), ...webgpu }),
  build({ ...options("node.ts", "node.js", RUNTIMES.wasm), ...node }),
]);
for (const name of Object.values(RUNTIMES)) {
  for (const suffix of ["mjs", "wasm"]) copyFileSync(`${ort}/${name}.${suffix}`, `${dist}/ort/${name}.${suffix}`);
}
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", root], { stdio: "inherit" });

const zipped = (file) => gzipSync(readFileSync(`${dist}/${file}`), { level: 9 }).length;
for (const [backend, worker] of Object.entries({ wasm: "worker.js", webgpu: "worker-webgpu.js" })) {
  const files = ["index.js", worker, `ort/${RUNTIMES[backend]}.mjs`];
  const total = files.reduce((sum, file) => sum + zipped(file), 0);
  const wasm = statSync(`${dist}/ort/${RUNTIMES[backend]}.wasm`).size;
  const parts = files.map((file) => `${file} ${kilobytes(zipped(file))}`).join(", ");
  console.log(`${backend}: JavaScript ${kilobytes(total)} of ${kilobytes(BUDGET)} gzipped (${parts}); wasm ${kilobytes(wasm)}`);
  if (total > BUDGET) throw new Error(`the JavaScript of ${backend} is over its budget`);
}

function kilobytes(bytes) {
  return `${Math.round(bytes / 1000)} kB`;
}
