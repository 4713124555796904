/** Non-maximum suppression. */

/** Indices of scores, highest first; of equal ones the first. */
export function ranked(scores: Float32Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/**
 * Greedy suppression: a box goes where it overlaps a better one that stays by more than `threshold`.
 *
 * @param boxes [N, 4] left, top, right, bottom
 * @param relativeTo overlap is the intersection's share of the union, or of the smaller box
 * @returns indices of the boxes that stay, best first
 */
export function suppress(
  boxes: Float32Array,
  scores: Float32Array,
  threshold: number,
  relativeTo: "union" | "smaller" = "union",
): number[] {
  const areas = Float64Array.from(scores, (_, k) => {
    const width = Math.max(boxes[4 * k + 2]! - boxes[4 * k]!, 0);
    return width * Math.max(boxes[4 * k + 3]! - boxes[4 * k + 1]!, 0);
  });
  const stays: number[] = [];
  for (const k of ranked(scores)) {
    const [left, top, right, bottom] = [boxes[4 * k]!, boxes[4 * k + 1]!, boxes[4 * k + 2]!, boxes[4 * k + 3]!];
    const beaten = stays.some((better) => {
      const width = Math.min(right, boxes[4 * better + 2]!) - Math.max(left, boxes[4 * better]!);
      const height = Math.min(bottom, boxes[4 * better + 3]!) - Math.max(top, boxes[4 * better + 1]!);
      const shared = Math.max(width, 0) * Math.max(height, 0);
      const [mine, other] = [areas[k]!, areas[better]!];
      const whole = relativeTo === "smaller" ? Math.min(mine, other) : mine + other - shared;
      return shared > threshold * whole;
    });
    if (!beaten) stays.push(k);
  }
  return stays;
}
