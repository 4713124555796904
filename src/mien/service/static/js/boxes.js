/** Boxes around faces, laid over a picture or a video by shares of its size. */

import { h, icon, place } from "./dom.js";

const NEAR_TOP = 0.09; // boxes that begin higher have their label below
const NEAR_RIGHT = 0.75; // boxes that begin further right have it grow to the left

/**
 * One box.
 * @param {{left: number, top: number, right: number, bottom: number}} box pixels of the whole picture
 * @param {number} width of the whole picture
 * @param {number} height of the whole picture
 * @param {{label: string, number?: number | null, outcome?: string | null, button?: boolean, mirrored?: boolean}} look
 */
export function faceBox(
  box,
  width,
  height,
  { label, number = null, outcome = null, button = false, mirrored = false },
) {
  const left = mirrored ? width - box.right : box.left;
  const tag = h(
    "span",
    { class: "tag" },
    outcome ? icon(outcome) : null,
    number === null ? null : h("span", { class: "tag-number" }, String(number)),
    h("span", {}, label),
  );
  const classes = ["box"];
  if (box.top / height < NEAR_TOP) classes.push("low");
  if (left / width > NEAR_RIGHT) classes.push("from-right");
  const element = h(button ? "button" : "div", { class: classes.join(" "), type: button ? "button" : null }, tag);
  return place(element, {
    left: left / width,
    top: box.top / height,
    width: (box.right - box.left) / width,
    height: (box.bottom - box.top) / height,
  });
}
