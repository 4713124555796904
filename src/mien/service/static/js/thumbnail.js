/** A small picture of one face, drawn from the picture on the page. */

import { h } from "./dom.js";

const SIDE = 112; // pixels, twice what is shown
const MARGIN = 0.25; // of the box, around it

/** A canvas with the face, or null where the browser cannot show the picture. */
export function thumbnail(image, box) {
  if (!image.naturalWidth) return null;
  const canvas = h("canvas", { class: "thumbnail", width: SIDE, height: SIDE, "aria-hidden": "true" });
  const side = Math.max(box.right - box.left, box.bottom - box.top) * (1 + MARGIN);
  const left = (box.left + box.right - side) / 2;
  const top = (box.top + box.bottom - side) / 2;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  return canvas;
}
