/** The age distribution of a face: a curve with the range shaded, and the same in numbers. */

import { h, place, s } from "./dom.js";
import { often, percent, span } from "./words.js";

const HEIGHT = 100; // units of the drawing, which is stretched to fit
const HEADROOM = 0.94;
const STEP = 20; // years between the numbers below the curve
const USUAL_END = 100;
const BAND = 10; // years in a row of the table

/**
 * A figure with the curve, and a table of it that can be unfolded.
 * @param {{years: number, median: number, low: number, high: number, level: number, pmf?: number[]}} age
 * @param {number | null} limit a line to draw at that age, for age checks
 */
export function curve(age, limit = null) {
  if (!age.pmf?.length) return null;
  const end = lastAge(age.pmf);
  return h(
    "figure",
    { class: "plot" },
    h("div", { class: "plot-area" }, drawing(age, end, limit), ...marks(age, end, limit)),
    h("div", { class: "ticks", "aria-hidden": "true" }, ...ticks(end)),
    h("details", { class: "numbers" }, h("summary", {}, "In numbers"), table(age.pmf, end)),
  );
}

/** The curve in words, for who cannot see it. */
export function described(age, limit = null) {
  const peak = age.pmf.indexOf(Math.max(...age.pmf));
  const text =
    `Distribution of the age, 0 to ${lastAge(age.pmf)} years: highest at ${peak}, half of it below ` +
    `${Math.round(age.median)}; shaded from ${span(age)}, which holds the true age ${often(age.level)}.`;
  return limit === null ? text : `${text} ${percent(massFrom(age.pmf, limit))} of it lies at ${limit} or above.`;
}

function drawing(age, end, limit) {
  const highest = Math.max(...age.pmf);
  const y = (mass) => (HEIGHT * (1 - (HEADROOM * mass) / highest)).toFixed(2);
  const points = age.pmf.slice(0, end + 1).map((mass, years) => `${years},${y(mass)}`);
  const line = `M${points.join("L")}`;
  const clip = `range-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`; // no randomUUID without https
  const low = Math.max(0, age.low);
  return s(
    "svg",
    {
      viewBox: `0 0 ${end} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": described(age, limit),
    },
    s(
      "clipPath",
      { id: clip },
      s("rect", { x: low, y: 0, width: Math.max(0.5, Math.min(end, age.high) - low), height: HEIGHT }),
    ),
    s("path", { class: "area", d: `${line}L${end},${HEIGHT}L0,${HEIGHT}Z` }),
    s("path", { class: "area inside", d: `${line}L${end},${HEIGHT}L0,${HEIGHT}Z`, "clip-path": `url(#${clip})` }),
    s("path", { class: "line", d: line, "vector-effect": "non-scaling-stroke" }),
  );
}

function marks(age, end, limit) {
  const low = Math.max(0, age.low);
  const range = h("span", { class: "range", "aria-hidden": "true" });
  const point = h("span", { class: "point", "aria-hidden": "true" });
  const placed = [
    place(range, { left: low / end, width: (Math.min(end, age.high) - low) / end }),
    place(point, { left: Math.min(end, age.years) / end }),
  ];
  if (limit !== null) {
    const line = h("span", { class: "limit-line", "aria-hidden": "true" }, h("span", {}, String(limit)));
    placed.push(place(line, { left: limit / end }));
  }
  return placed;
}

function ticks(end) {
  const years = Array.from({ length: Math.floor(end / STEP) + 1 }, (_, index) => index * STEP);
  return years.map((year) =>
    place(h("span", { class: year === end ? "end" : null }, String(year)), { left: year / end }),
  );
}

function table(pmf, end) {
  const rows = [];
  for (let from = 0; from <= end; from += BAND) {
    const mass = pmf.slice(from, from + BAND).reduce((sum, one) => sum + one, 0);
    if (mass < 0.005) continue;
    const to = Math.min(from + BAND, pmf.length) - 1;
    rows.push(h("tr", {}, h("th", { scope: "row" }, `${from} to ${to}`), h("td", {}, percent(mass))));
  }
  const head = h("tr", {}, h("th", { scope: "col" }, "Years"), h("th", { scope: "col" }, "Probability"));
  return h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows));
}

function massFrom(pmf, limit) {
  return pmf.slice(limit).reduce((sum, one) => sum + one, 0);
}

/** 100, unless there is something to see above. */
function lastAge(pmf) {
  return massFrom(pmf, USUAL_END) > 0.005 ? pmf.length - 1 : USUAL_END;
}
