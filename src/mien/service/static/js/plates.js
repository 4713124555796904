/** Where the labels of boxes go, as on the pictures that `--annotate` draws: `mien/drawing/plates.py` does the same. */

const OVER_LABEL = 8;
const OVER_FACE = 2;
const PER_PLACE = 0.01;
const PER_STEP = 0.2;
const STEPS = 6; // how many half labels a label may move away to each side

/**
 * The places of labels: each above, below or inside its own frame where it covers least of others, or else further away
 * where it covers no other label.
 * @param {[number, number][]} labels width and height of each
 * @param {{left: number, top: number, right: number, bottom: number}[]} boxes the frame of each, in the same units
 * @param {[number, number]} size width and height of the picture, which no label leaves unless it is larger
 * @param {number} gap between a frame and a label above or below it
 * @returns {{left: number, top: number, right: number, bottom: number}[]} the box that each label takes
 */
export function places(labels, boxes, size, gap) {
  const placed = [];
  labels.forEach((label, mine) => {
    const box = boxes[mine];
    const others = boxes.filter((_, index) => index !== mine);
    const near = nearby(label, box, size, gap).map(([plate, reluctance]) => ({
      plate,
      cost: (costOf(plate, placed, others) + shared(plate, box)) / area(plate) + reluctance,
    }));
    let best = cheapest(near);
    if (overlaps(best.plate, placed)) {
      const further = furtherAway(label, box, size).map(([plate, reluctance]) => ({
        plate,
        cost: costOf(plate, placed, others) / area(plate) + reluctance,
      }));
      best = cheapest([...near, ...further].filter(({ plate }) => !overlaps(plate, placed))) ?? best;
    }
    placed.push(best.plate);
  });
  return placed;
}

/** Area that two boxes have in common. */
export function shared(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

function cheapest(some) {
  return some.reduce((best, one) => (best === null || one.cost < best.cost ? one : best), null);
}

function overlaps(plate, placed) {
  return placed.some((other) => shared(plate, other) > 0);
}

/** Above, below and inside the frame, flush with its left side, in its middle, flush with its right side. */
function nearby(label, box, size, gap) {
  const [width, height] = label;
  const columns = [box.left, (box.left + box.right - width) / 2, box.right - width];
  const rows = [box.top - height - gap, box.bottom + gap, box.bottom - height - gap, box.top + gap];
  const corners = rows.flatMap((top) => columns.map((left) => [left, top]));
  return corners.map(([left, top], preference) => [within(left, top, label, size), PER_PLACE * preference]);
}

/** Around the middle of the frame, by half labels. */
function furtherAway(label, box, size) {
  const [width, height] = label;
  const x = (box.left + box.right - width) / 2;
  const y = (box.top + box.bottom - height) / 2;
  const found = [];
  for (let down = -STEPS; down <= STEPS; down += 1) {
    for (let right = -STEPS; right <= STEPS; right += 1) {
      const plate = within(x + (right * width) / 2, y + (down * height) / 2, label, size);
      found.push([plate, PER_STEP * (Math.abs(right) + Math.abs(down))]);
    }
  }
  return found;
}

function within(left, top, label, size) {
  const x = Math.max(0, Math.min(Math.floor(left + 0.5), size[0] - label[0]));
  const y = Math.max(0, Math.min(Math.floor(top + 0.5), size[1] - label[1]));
  return { left: x, top: y, right: x + label[0], bottom: y + label[1] };
}

function costOf(plate, placed, others) {
  const over = (boxes) => boxes.reduce((sum, other) => sum + shared(plate, other), 0);
  return OVER_LABEL * over(placed) + OVER_FACE * over(others);
}

function area(plate) {
  return Math.max((plate.right - plate.left) * (plate.bottom - plate.top), 1e-9);
}
