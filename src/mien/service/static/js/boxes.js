/** Boxes around faces, laid over a picture or a video by shares of its size. */

import { h, icon, place } from "./dom.js";
import { places, shared } from "./plates.js";

const GAP = 5; // pixels between a frame and its label
const HIDDEN = 0.1; // the share of all faces that labels may cover before they are made smaller
const ROOMS = ["", "tight", "numbers"]; // labels as they are, smaller, and with their numbers alone
const frames = new WeakMap(); // element -> its box in shares of the picture
const watched = new WeakSet();

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
    h("span", { class: number === null ? null : "tag-text" }, label),
  );
  const element = h(button ? "button" : "div", { class: "box", type: button ? "button" : null }, tag);
  const share = {
    left: left / width,
    top: box.top / height,
    width: (box.right - box.left) / width,
    height: (box.bottom - box.top) / height,
  };
  frames.set(element, share);
  return place(element, share);
}

/**
 * Show boxes, their labels laid out so that none covers another or leaves the picture, now and whenever its size changes.
 * @param {HTMLElement} layer that lies over the picture
 * @param {HTMLElement[]} boxes from `faceBox`
 */
export function showBoxes(layer, boxes) {
  layer.replaceChildren(...boxes);
  if (!watched.has(layer)) {
    watched.add(layer);
    new ResizeObserver(() => layOut(layer)).observe(layer);
  }
  layOut(layer);
}

function layOut(layer) {
  const boxes = [...layer.children];
  const size = [layer.clientWidth, layer.clientHeight];
  if (boxes.length === 0 || size[0] === 0) return;
  const rectangles = boxes.map((box) => inPixels(frames.get(box), size));
  let taken = [];
  for (const room of ROOMS) {
    layer.classList.remove(...ROOMS.filter(Boolean));
    if (room) layer.classList.add(room);
    const labels = boxes.map(({ lastElementChild: tag }) => [tag.offsetWidth, tag.offsetHeight]);
    taken = places(labels, rectangles, size, GAP);
    if (!crowded(taken, rectangles)) break;
  }
  boxes.forEach((box, index) => {
    const tag = box.lastElementChild; // it is placed from inside the frame's line
    tag.style.left = `${taken[index].left - rectangles[index].left - box.clientLeft}px`;
    tag.style.top = `${taken[index].top - rectangles[index].top - box.clientTop}px`;
  });
}

/** Whether labels cover one another, or too much of the faces. */
function crowded(labels, faces) {
  const covered = faces.reduce((sum, face) => sum + labels.reduce((own, label) => own + shared(face, label), 0), 0);
  const all = faces.reduce((sum, face) => sum + shared(face, face), 0);
  return (
    covered > HIDDEN * all ||
    labels.some((one, index) => labels.slice(0, index).some((other) => shared(one, other) > 0))
  );
}

function inPixels({ left, top, width, height }, [across, down]) {
  return {
    left: left * across,
    top: top * down,
    right: (left + width) * across,
    bottom: (top + height) * down,
  };
}
