/** One face: its age with the curve, its gender, how good the view is, and on demand why. */

import { curve } from "./curve.js";
import { h, icon, place } from "./dom.js";
import { explanation } from "./explanation.js";
import { count, doubts, outcome, percent, rangeSentence, sentence } from "./words.js";

/**
 * The card.
 * @param {object} face the service's record
 * @param {{number: number, of: number, heading: string, check: object | null, limit: number | null,
 *   thumbnail: Element | null, explain: (target: string) => Promise<object>}} about
 */
export function faceCard(face, { number, of, heading, check, limit, thumbnail, explain }) {
  const title = of > 1 ? `Face ${number} of ${of}` : "Face";
  const id = `${heading}-face-${number}`;
  return h(
    "section",
    { class: "card", tabindex: "-1", "aria-labelledby": id, "data-face": number },
    h("header", { class: "card-head" }, thumbnail, h("h4", { id, class: of > 1 ? null : "hidden-text" }, title)),
    check ? verdict(check) : null,
    ageBlock(face.age, limit),
    genderBlock(face.gender),
    view(face.quality),
    whyBlock(title.toLowerCase(), explain),
  );
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

function ageBlock(age, limit) {
  return h(
    "div",
    { class: "age" },
    h(
      "p",
      { class: "figure" },
      h("span", { class: "about" }, "about "),
      h("strong", {}, Math.round(age.years)),
      " years",
    ),
    h("p", { class: "said" }, rangeSentence(age)),
    curve(age, limit),
  );
}

function genderBlock({ label, probability }) {
  const named = label !== "uncertain";
  const said = named
    ? "As such faces are labelled in the data."
    : `The likelier label has only ${percent(probability)}.`;
  const meter = h("span", { class: "meter", "aria-hidden": "true" }, place(h("i"), { width: probability }));
  return h(
    "div",
    { class: "gender" },
    h(
      "p",
      { class: "gender-line" },
      h("strong", {}, sentence(label).slice(0, -1)),
      named ? h("span", {}, percent(probability)) : null,
    ),
    meter,
    h("p", { class: "said" }, said),
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
