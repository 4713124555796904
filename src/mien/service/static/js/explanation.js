/** Why this answer: the map over the face, and what each part of the face does to it. */

import { h, place } from "./dom.js";
import { percent } from "./words.js";

const SIDES = { age: ["older", "younger"], gender: ["female", "male"] };

/**
 * The whole explanation of one answer.
 * @param {object} why the service's answer, with the map drawn over the face
 * @param {string} name of the face, for who cannot see it
 */
export function explanation(why, name) {
  const [above, below] = SIDES[why.target];
  const legend = h(
    "p",
    { class: "legend" },
    h("span", {}, h("i", { class: "swatch above" }), `speaks for ${above}`),
    h("span", {}, h("i", { class: "swatch below" }), `speaks for ${below}`),
  );
  return h(
    "div",
    { class: "why" },
    h("figure", { class: "map" }, h("img", { src: why.overlay, alt: alternative(why, name) }), legend),
    h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Parts of the face" }, table(why)),
  );
}

function alternative(why, name) {
  const strongest = why.regions.slice(0, 3).map((part) => `${part.name} (${direction(why, part)})`);
  return `Map over ${name}: what the ${why.target} rests on most. ${strongest.join(", ")}.`;
}

function table(why) {
  const asked = why.target === "age" ? "Age if blurred" : "Female if blurred";
  const columns = ["Part", "Share of the map", asked];
  const rows = why.regions.map((part) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, part.name),
      h("td", {}, bar(why, part), h("span", {}, `${Math.round(100 * part.share)} %`), side(why, part)),
      h("td", {}, changed(why, part.hidden)),
    ),
  );
  const all = h("tr", {}, h("th", { scope: "row" }, "everything"), h("td"), h("td", {}, changed(why, why.veiled)));
  return h(
    "table",
    { class: "parts" },
    h(
      "caption",
      { class: "hidden-text" },
      `What each part does to the ${why.target}; left and right as in the picture`,
    ),
    h("thead", {}, h("tr", {}, ...columns.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows, all),
  );
}

function bar(why, part) {
  const [above, below] = sides(why, part);
  const widest = why.regions[0].share || 1;
  return h(
    "span",
    { class: "share", "aria-hidden": "true" },
    place(h("i", { class: "above" }), { width: above / widest }),
    place(h("i", { class: "below" }), { width: below / widest }),
  );
}

function side(why, part) {
  return h("span", { class: "hidden-text" }, `, ${direction(why, part)}`);
}

/** What speaks for older or female, and what for younger or male; a map without signs speaks for its answer. */
function sides(why, part) {
  if (why.signed) return [(part.share + part.net) / 2, (part.share - part.net) / 2];
  return why.value >= why.veiled ? [part.share, 0] : [0, part.share];
}

function direction(why, part) {
  const [above, below] = sides(why, part);
  const names = SIDES[why.target];
  if (Math.min(above, below) > Math.max(above, below) / 3) return "for both";
  return `for ${below > above ? names[1] : names[0]}`;
}

/** Another answer, and how far it is from the real one. */
function changed(why, answer) {
  if (why.target === "age") return `${answer.toFixed(1)} (${signed(answer - why.value, 1)})`;
  const female = (odds) => 1 / (1 + Math.exp(-odds));
  return `${percent(female(answer))} (${signed(100 * (female(answer) - female(why.value)), 0)})`;
}

function signed(number, digits) {
  const text = Math.abs(number).toFixed(digits);
  if (Number(text) === 0) return "±0";
  return `${number < 0 ? "−" : "+"}${text}`;
}
