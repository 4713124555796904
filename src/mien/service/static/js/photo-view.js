/** One picture of the page: itself with boxes, the cards of its faces, or why there is no answer. */

import { faceBox, showBoxes } from "./boxes.js";
import { h, icon } from "./dom.js";
import { faceCard, faceRow, found, verdict } from "./face-card.js";
import { thumbnail } from "./thumbnail.js";
import { face as faceWords, groupSentence, outcome, sentence, years } from "./words.js";

const MANY = 3; // more faces are lines that open
const LIES = { 90: "lies on its side", 180: "stands on its head", 270: "lies on its side" };

export class PhotoView {
  #shown = null;

  /**
   * @param {import("./runner.js").Entry} entry
   * @param {{settings: object, onRemove: Function, onAgain: Function, onTurn: Function, explain: Function}} about
   */
  constructor(entry, about) {
    this.entry = entry;
    this.about = about;
    this.#build();
  }

  #build() {
    const { entry } = this;
    const id = `photo-${entry.id}`;
    this.image = h("img", { alt: "", decoding: "async" });
    this.boxes = h("div", { class: "boxes" });
    this.frame = h("div", { class: "frame" }, this.image, this.boxes);
    this.told = h("p", { class: "told" });
    this.title = h("h3", { id, tabindex: "-1" }, entry.name);
    this.body = h("div", { class: "cards" });
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet square",
        "aria-label": `Remove ${entry.name}`,
        onclick: () => this.about.onRemove(entry),
      },
      icon("close"),
    );
    this.turn = h(
      "button",
      { type: "button", class: "quiet", "aria-label": `Rotate ${entry.name}`, hidden: true, onclick: () => this.#rotate() },
      icon("rotate"),
      h("span", {}, "Rotate"),
    );
    this.article = h(
      "article",
      { class: "photo", "aria-labelledby": id },
      h("header", { class: "photo-head" }, h("div", {}, this.title, this.told), h("div", { class: "photo-tools" }, this.turn, remove)),
      h("div", { class: "photo-body" }, h("div", { class: "picture" }, this.frame), this.body),
    );
    this.element = h("li", {}, this.article);
    this.#load();
  }

  /** Show the picture of the entry, which is another one now. */
  reload() {
    this.frame.classList.remove("unseen");
    this.frame.querySelector(".note")?.remove();
    this.frame.prepend(this.image);
    this.#load();
  }

  #rotate() {
    this.title.focus();
    this.about.onTurn(this.entry, this.entry.record?.turned || 90);
  }

  /** The object URL lives only until the picture is decoded. */
  async #load() {
    const url = URL.createObjectURL(this.entry.file);
    this.image.src = url;
    try {
      await this.image.decode();
      this.#shape(this.image.naturalWidth, this.image.naturalHeight);
    } catch {
      this.frame.classList.add("unseen");
      this.image.remove();
      this.frame.prepend(h("p", { class: "note" }, "This browser cannot show this picture."));
    } finally {
      URL.revokeObjectURL(url);
      this.ready = true;
      this.#shown = null;
      this.update();
    }
  }

  #shape(width, height) {
    this.frame.style.setProperty("--ratio", String(width / height));
    this.frame.style.setProperty("--natural", `${width}px`);
  }

  /** Show the entry as it now is. */
  update() {
    const { entry } = this;
    const { mode, limit } = this.about.settings;
    const now = [entry.state, entry.record, entry.check, entry.checkProblem, entry.problem, mode, limit];
    if (this.#shown !== null && now.every((value, index) => value === this.#shown[index])) return;
    this.#shown = now;
    this.turn.hidden = true;
    this.article.dataset.state = entry.state;
    this.article.setAttribute("aria-busy", String(entry.state === "working"));
    if (entry.state === "failed") this.#failed();
    else if (entry.record !== null) this.#answered();
    else this.#waiting();
  }

  #waiting() {
    const working = this.entry.state === "working";
    this.told.textContent = working ? "Looking for faces …" : "Waiting";
    this.article.classList.remove("several", "many");
    this.boxes.replaceChildren();
    this.body.replaceChildren(h("div", { class: "skeleton", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i")));
  }

  #failed() {
    const { problem } = this.entry;
    this.told.textContent = "No answer";
    this.boxes.replaceChildren();
    const again = h("button", { type: "button", onclick: () => this.about.onAgain(this.entry) }, "Try again");
    this.body.replaceChildren(
      h(
        "div",
        { class: "failed" },
        icon("warning"),
        h("div", {}, h("p", {}, sentence(problem.message)), problem.again ? again : null),
      ),
    );
  }

  #answered() {
    const { entry, about } = this;
    const { record } = entry;
    const { faces, width, height } = record;
    const { mode, limit } = about.settings;
    const checking = mode === "check";
    const check = checking && entry.check?.rule.min_age === limit ? entry.check : null;
    if (this.frame.classList.contains("unseen")) this.#shape(width, height);
    this.told.textContent = this.#tell(record);
    this.turn.hidden = this.frame.classList.contains("unseen") || (faces.length > 0 && !record.turned);
    this.image.alt = `${entry.name}: ${found(faces).toLowerCase()}`;
    this.article.classList.toggle("several", faces.length > 1);
    this.article.classList.toggle("many", faces.length > MANY);
    const cards = faces.map((face, index) => this.#card(face, index, faces.length, check, checking ? limit : null));
    const whole = check && faces.length !== 1 ? verdict(check) : null;
    const refused =
      checking && entry.checkProblem
        ? h("p", { class: "failed" }, icon("warning"), h("span", {}, sentence(entry.checkProblem.message)))
        : null;
    const none =
      faces.length > 0
        ? null
        : h("p", { class: "none" }, "Try a picture where a face is larger, sharper or seen from the front.");
    const once = faces.length > 1 ? h("p", { class: "once said" }, groupSentence(faces)) : null;
    const open = new Set([...this.body.querySelectorAll(".row[open]")].map(({ dataset }) => dataset.face));
    for (const card of cards) if (open.has(card.dataset.face)) card.open = true;
    this.body.replaceChildren(...[refused, whole, none, once, ...cards].filter(Boolean));
    const boxes = faces.map((face, index) => this.#box(face, index, cards[index], check?.faces[index] ?? null));
    showBoxes(this.boxes, boxes);
  }

  /** What there is to say of the whole picture. */
  #tell({ faces, turned }) {
    const { from } = this.entry.fit ?? {};
    const lies = LIES[turned] ? ` The picture ${LIES[turned]}.` : "";
    const smaller = from ? ` Made smaller first, from ${from.width} × ${from.height} pixels.` : "";
    return lies || smaller ? `${found(faces)}.${lies}${smaller}` : found(faces);
  }

  #card(face, index, of, check, limit) {
    const number = index + 1;
    const card = (of > MANY ? faceRow : faceCard)(face, {
      number,
      of,
      heading: `photo-${this.entry.id}`,
      check: check?.faces[index] ?? null,
      limit,
      thumbnail: thumbnail(this.image, face.box, this.entry.record),
      explain: (target) => this.about.explain(this.entry.sent, target, number),
    });
    const mark = (on) => () => this.boxes.children[index]?.classList.toggle("marked", on);
    for (const name of ["pointerenter", "focusin"]) card.addEventListener(name, mark(true));
    for (const name of ["pointerleave", "focusout"]) card.addEventListener(name, mark(false));
    return card;
  }

  #box(face, index, card, check) {
    const { record } = this.entry;
    const of = record.faces.length;
    const box = faceBox(face.box, record.width, record.height, {
      label: check ? outcome(check.outcome) : String(years(face.age)),
      number: of > 1 ? index + 1 : null,
      outcome: check?.outcome ?? null,
      button: true,
    });
    const said = check ? `${outcome(check.outcome)}, ${faceWords(face)}` : faceWords(face);
    box.setAttribute("aria-label", `Face ${index + 1} of ${of}: ${said}. Go to its card.`);
    box.addEventListener("click", () => {
      if (card.matches(".row")) card.open = true;
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "nearest" });
    });
    const mark = (on) => () => card.classList.toggle("marked", on);
    for (const name of ["pointerenter", "focus"]) box.addEventListener(name, mark(true));
    for (const name of ["pointerleave", "blur"]) box.addEventListener(name, mark(false));
    return box;
  }
}
