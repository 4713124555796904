/** One face: its age with the curve, its gender, how good the view is, and on demand why. */

import { curve } from "./curve.js";
import { h, icon, place } from "./dom.js";
import { explanation } from "./explanation.js";
import { count, doubts, ends, flagged, outcome, rangeSentence, sentence, surely, years } from "./words.js";

/**
 * The card.
 * @param {object} face the service's record
 * @param {{number: number, of: number, heading: string, check: object | null, limit: number | null,
 *   thumbnail: Element | null, explain: (target: string) => Promise<object>}} about
 */
export function faceCard(face, about) {
  const { number, of, heading, thumbnail } = about;
  const id = `${heading}-face-${number}`;
  return h(
    "section",
    { class: "card", tabindex: "-1", "aria-labelledby": id, "data-face": number },
    h("header", { class: "card-head" }, thumbnail, h("h4", { id, class: of > 1 ? null : "hidden-text" }, title(about))),
    ...blocks(face, about),
  );
}

/**
 * The same as one line, which opens into the whole card.
 * @param {object} face as for the card
 * @param {object} about as for the card
 */
export function faceRow(face, about) {
  const { number, heading, check, thumbnail } = about;
  const id = `${heading}-face-${number}`;
  const [low, high] = ends(face.age);
  const { label, probability } = face.gender;
  const named = label === "uncertain" ? "gender uncertain" : `${label} ${surely(probability)}`;
  const flags = flagged(face.quality.flags);
  const summary = h(
    "summary",
    { id },
    h("span", { class: "row-number" }, h("span", { class: "hidden-text" }, "Face "), String(number)),
    thumbnail,
    h(
      "span",
      { class: "row-said" },
      h("span", {}, h("span", { class: "hidden-text" }, ": about "), h("strong", {}, String(years(face.age))), " years"),
      h("span", { class: "row-range" }, `${low} to ${high}`),
      check ? null : h("span", { class: "row-gender" }, named),
      flags ? h("span", { class: "row-doubt" }, icon("warning"), flags) : null,
    ),
    check ? h("span", { class: `row-outcome is-${check.outcome}` }, icon(check.outcome), outcome(check.outcome)) : null,
    icon("chevron"),
  );
  const row = h("details", { class: "card row", tabindex: "-1", "aria-labelledby": id, "data-face": number }, summary);
  row.addEventListener("toggle", () => {
    if (row.open && row.children.length === 1) row.append(h("div", { class: "row-body" }, ...blocks(face, about)));
  });
  return row;
}

function title({ number, of }) {
  return of > 1 ? `Face ${number} of ${of}` : "Face";
}

function blocks(face, { number, of, check, limit, explain }) {
  return [
    check ? verdict(check) : null,
    ageBlock(face.age, limit, of === 1),
    genderBlock(face.gender, of === 1),
    view(face.quality),
    whyBlock(title({ number, of }).toLowerCase(), explain),
  ].filter(Boolean);
}

/** Pass, fail or unsure: a shape, a word and the reason. */
export function verdict({ outcome: name, reason }) {
  return h(
    "p",
    { class: `verdict is-${name}` },
    icon(name),
    h("span", {}, h("strong", {}, outcome(name)), h("span", { class: "reason" }, sentence(reason))),
  );
}

/** With `whole`, what holds for all faces is said here; of several it is said once. */
function ageBlock(age, limit, whole) {
  return h(
    "div",
    { class: "age" },
    h(
      "p",
      { class: "figure" },
      h("span", { class: "about" }, "about "),
      h("strong", {}, years(age)),
      " years",
    ),
    h("p", { class: "said" }, rangeSentence(age, whole)),
    curve(age, limit),
  );
}

function genderBlock({ label, probability }, whole) {
  const named = label !== "uncertain";
  const usual = whole ? "As such faces are labelled in the data." : null;
  const said = named ? usual : `The likelier label has only ${surely(probability)}.`;
  const meter = h("span", { class: "meter", "aria-hidden": "true" }, place(h("i"), { width: probability }));
  return h(
    "div",
    { class: "gender" },
    h(
      "p",
      { class: "gender-line" },
      h("strong", {}, sentence(label).slice(0, -1)),
      named ? h("span", {}, surely(probability)) : null,
    ),
    meter,
    said ? h("p", { class: "said" }, said) : null,
  );
}

function view({ flags }) {
  const text = doubts(flags);
  return text ? h("p", { class: "doubt" }, icon("warning"), h("span", {}, text)) : null;
}

function whyBlock(name, explain) {
  const panel = h("div", { class: "why-panel", hidden: true });
  let shown = null;
  const buttons = ["age", "gender"].map((target) => {
    const button = h("button", { type: "button", class: "quiet", "aria-expanded": "false" }, `Why this ${target}?`);
    button.addEventListener("click", () => show(target));
    return { target, button };
  });

  async function show(target) {
    shown = shown === target ? null : target;
    for (const one of buttons) one.button.setAttribute("aria-expanded", String(one.target === shown));
    panel.hidden = shown === null;
    if (shown === null) return;
    panel.setAttribute("aria-busy", "true");
    panel.replaceChildren(h("p", { class: "busy", role: "status" }, "Looking at the face part by part …"));
    let content;
    try {
      content = explanation(await explain(target), name);
    } catch (error) {
      content = h("p", { class: "wrong", role: "alert" }, error.message);
    }
    if (shown !== target) return; // the other was asked for meanwhile
    panel.removeAttribute("aria-busy");
    panel.replaceChildren(content);
  }

  return h("div", { class: "why-block" }, h("div", { class: "buttons" }, ...buttons.map((one) => one.button)), panel);
}

/** "2 faces", and what to say where there is none. */
export function found(faces) {
  return faces.length === 0 ? "No face found" : count(faces.length, "face");
}
