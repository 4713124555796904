/** Runs tests/*.test.ts under Node: `npm test -- GOLDEN.json`, where golden.py has written that file. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const [golden] = process.argv.slice(2);
if (!golden) throw new Error("give the file that tests/golden.py has written");
const out = `${root}.test`;
mkdirSync(out, { recursive: true });
for (const old of readdirSync(out, { withFileTypes: true })) if (old.name.endsWith(".mjs")) rmSync(`${out}/${old.name}`);
const tests = readdirSync(`${root}tests`).filter((name) => name.endsWith(".test.ts"));
await build({
  entryPoints: tests.map((name) => `${root}tests/${name}`),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  external: ["onnxruntime-web/*"],
  sourcemap: "inline",
  logLevel: "warning",
});
const files = tests.map((name) => `${out}/${name.replace(/\.ts$/, ".mjs")}`);
const env = { ...process.env, MIEN_GOLDEN: resolve(golden), MIEN_ROOT: resolve(root, ".."), MIEN_DIST: `${root}dist` };
const { status } = spawnSync(process.execPath, ["--test", "--enable-source-maps", ...files], { env, stdio: "inherit" });
process.exitCode = status ?? 1;
