/** A small picture of one face, drawn from the picture on the page. */

import { h } from "./dom.js";

const SIDE = 112; // pixels, twice what is shown
const MARGIN = 0.25; // of the box, around it

/** A canvas with the face, or null where the browser cannot show the picture, whose record says how wide it is. */
export function thumbnail(image, box, { width }) {
  if (!image.naturalWidth) return null;
  const scale = image.naturalWidth / width; // 1, unless it was sent made smaller and is a pixel off
  const canvas = h("canvas", { class: "thumbnail", width: SIDE, height: SIDE, "aria-hidden": "true" });
  const side = scale * Math.max(box.right - box.left, box.bottom - box.top) * (1 + MARGIN);
  const left = (scale * (box.left + box.right) - side) / 2;
  const top = (scale * (box.top + box.bottom) - side) / 2;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  return canvas;
}
