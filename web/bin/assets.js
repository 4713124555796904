#!/usr/bin/env node
/** Copies what the browser fetches (worker, runtime, models) into a folder of a site: `npx mien-assets public/mien`. */

import { cpSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [target] = process.argv.slice(2);
const dist = fileURLToPath(new URL("../dist", import.meta.url));
if (!target) {
  console.error("give the folder to copy to: mien-assets public/mien");
  process.exit(2);
}
if (!existsSync(`${dist}/assets.json`)) {
  console.error("this package has no models: run `make web` in the checkout that it comes from");
  process.exit(1);
}
const parts = ["index.js", "worker.js", "worker-webgpu.js", "ort", "mtcnn", "models", "assets.json"];
for (const part of parts) cpSync(`${dist}/${part}`, `${target}/${part}`, { recursive: true });
console.log(`${target}: worker, runtime and models of mien`);
