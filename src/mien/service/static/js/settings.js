/** What the user has chosen, and the dialog for it. Nothing is kept beyond the tab. */

import { at, h } from "./dom.js";
import { DEVICE, SERVER } from "./places.js";
import { percent } from "./words.js";

const USUAL_LIMITS = [13, 16, 18, 21];
const USUAL_RATES = [0.01, 0.02, 0.05];

export class Settings extends EventTarget {
  mode = "estimate";
  level = 0.9;
  abstain = 0.6;
  limit = 18;
  rate = 0.01;
  model = null; // the service's default
  pmf = false;
  place = SERVER ? "server" : "device"; // where pictures are worked on
  #models = [];

  constructor() {
    super();
    this.#fillLimits(USUAL_LIMITS);
    this.#fillRates(USUAL_RATES);
    this.#listen();
    this.#show();
  }

  /** What predictions depend on, as text to compare. */
  get predictKey() {
    return JSON.stringify([this.level, this.abstain, this.model, this.place]);
  }

  /** What age checks depend on. */
  get checkKey() {
    return JSON.stringify([this.limit, this.rate, this.model, this.place]);
  }

  /** Take the choices that the service has. */
  offer({ models, default: usual }) {
    this.#models = models;
    at("model").replaceChildren(...models.map(({ name }) => h("option", { value: name }, name)));
    at("model").value = usual;
    at("model-field").hidden = models.length < 2;
    this.#offerChecks(usual);
  }

  /** A model knows the limits and rates that it has learned; one that knows none says so when it is asked. */
  #offerChecks(name) {
    const checks = this.#models.find((model) => model.name === name)?.age_checks;
    if (!checks) return;
    this.#fillLimits(checks.limits);
    this.#fillRates(checks.rates);
  }

  #fillLimits(limits) {
    if (!limits.includes(this.limit)) this.limit = limits[0];
    const usual = USUAL_LIMITS.filter((years) => limits.includes(years));
    const others = limits.filter((years) => !usual.includes(years));
    const options = (some) => some.map((years) => h("option", { value: years }, String(years)));
    const groups = [
      ["Usual", usual],
      ["Others", others],
    ].filter(([, some]) => some.length > 0);
    at("limit").replaceChildren(...groups.map(([label, some]) => h("optgroup", { label }, ...options(some))));
    at("limit").value = String(this.limit);
  }

  #fillRates(rates) {
    if (!rates.includes(this.rate)) this.rate = rates[0];
    const named = (rate) => `${Number((100 * rate).toPrecision(3))} %`;
    at("rate").replaceChildren(...rates.map((rate) => h("option", { value: rate }, named(rate))));
    at("rate").value = String(this.rate);
  }

  #listen() {
    const dialog = at("settings");
    at("place-field").hidden = !SERVER || DEVICE === null;
    at("place").value = this.place;
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      if (radio.value === this.mode) radio.checked = true; // browsers keep the last choice over a reload
      radio.addEventListener("change", () => this.#change("mode", radio.value));
    }
    at("limit").addEventListener("change", (event) => this.#change("limit", Number(event.target.value)));
    for (const id of ["level", "abstain"]) at(id).addEventListener("input", () => this.#show(true));
    at("open-settings").addEventListener("click", () => dialog.showModal());
    at("settings-close").addEventListener("click", () => dialog.close());
    at("settings-form").addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.#take());
  }

  #take() {
    this.level = Number(at("level").value) / 100;
    this.abstain = Number(at("abstain").value) / 100;
    this.rate = Number(at("rate").value);
    this.pmf = at("pmf").checked;
    if (at("place").value !== this.place) {
      this.place = at("place").value;
      this.model = null; // that place's default
      this.dispatchEvent(new Event("place"));
      this.dispatchEvent(new Event("change"));
      return;
    }
    if (!at("model-field").hidden && at("model").value !== this.model) {
      this.model = at("model").value;
      this.#offerChecks(this.model);
    }
    this.dispatchEvent(new Event("change"));
  }

  #change(name, value) {
    this[name] = value;
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  /** Show the choices; with `moving` those of the sliders as they stand. */
  #show(moving = false) {
    if (!moving) {
      at("level").value = String(Math.round(100 * this.level));
      at("abstain").value = String(Math.round(100 * this.abstain));
    }
    for (const id of ["level", "abstain"]) {
      const text = percent(Number(at(id).value) / 100);
      at(`${id}-out`).textContent = id === "level" ? `${text} of the time` : text;
      at(id).setAttribute("aria-valuetext", text);
    }
    at("limit-row").hidden = this.mode !== "check";
    document.body.classList.toggle("checking", this.mode === "check");
  }
}
