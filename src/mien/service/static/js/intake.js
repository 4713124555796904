/** Pictures in: chosen, dropped, pasted, or one of the examples. */

import { at } from "./dom.js";

/**
 * Listen everywhere pictures may come from.
 * @param {(files: File[]) => void} take
 * @param {(message: string) => void} complain
 */
export function listen(take, complain) {
  choosing(take);
  dropping(take, complain);
  pasting(take);
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => example(button.dataset.example, take, complain));
  }
}

function choosing(take) {
  const input = at("files");
  at("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
}

function dropping(take, complain) {
  const veil = at("veil");
  let depth = 0; // enter and leave fire for every element below the pointer
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (change) => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => carriesFiles(event) && show(1));
  addEventListener("dragleave", (event) => carriesFiles(event) && show(-1));
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(0);
    const folders = [...event.dataTransfer.items].filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
    if (folders > 0) complain("A folder cannot be dropped here. Open it and choose the pictures in it.");
    else take([...event.dataTransfer.files]);
  });
}

function pasting(take) {
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
}

async function example(name, take, complain) {
  try {
    const response = await fetch(new URL(`examples/${name}`, document.baseURI));
    if (!response.ok) throw new Error(String(response.status));
    take([new File([await response.blob()], name, { type: "image/jpeg" })]);
  } catch {
    complain("The example could not be fetched. Is the service running?");
  }
}
