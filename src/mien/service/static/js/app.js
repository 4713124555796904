/** The page: wires pictures, runner, views and downloads together. */

import { Api } from "./api.js";
import { Camera } from "./camera.js";
import { at, h } from "./dom.js";
import { save, toCSV, toJSON } from "./downloads.js";
import { listen } from "./intake.js";
import { askKey } from "./key-dialog.js";
import { keepPage } from "./offline.js";
import { PhotoView } from "./photo-view.js";
import { SERVER } from "./places.js";
import { Route } from "./route.js";
import { turned } from "./pictures.js";
import { Runner } from "./runner.js";
import { Settings } from "./settings.js";
import { tellWhereabouts } from "./whereabouts.js";
import { count, face as faceWords, learned, licence, outcome, sentence, size } from "./words.js";

const settings = new Settings();
const server = new Api(askKey, (seconds) => waitFor(seconds));
const api = new Route(settings, server, (loaded, total) => fetching(loaded, total));
const runner = new Runner(api, settings);
const views = new Map(); // entry -> view
const camera = new Camera({
  api,
  settings,
  onShot: (file) => add([file]),
  onSwitch: () => layout(),
  complain,
  announce,
});
let toTell = []; // entries that were answered since the last announcement
let service = null; // what the service says of itself

/** Read out by screen readers, in its turn. */
function announce(text) {
  at("status").textContent = text;
}

function complain(message, again = null) {
  const notice = at("notice");
  const retry = again && h("button", { type: "button", onclick: again }, "Try again");
  const close = h("button", { type: "button", class: "quiet", onclick: () => quiet(true) }, "Dismiss");
  notice.replaceChildren(
    h("p", {}, sentence(message)),
    h("div", { class: "buttons" }, ...(retry ? [retry, close] : [close])),
  );
  notice.hidden = false;
}

function quiet(back = false) {
  if (at("notice").hidden) return;
  at("notice").hidden = true;
  at("notice").replaceChildren();
  if (back) at("choose").focus();
}

function waitFor(seconds) {
  at("progress-text").textContent = `The service is busy; trying again in ${Math.max(1, Math.ceil(seconds))} s`;
  announce(at("progress-text").textContent);
}

/** While this device fetches what it needs. */
function fetching(loaded, total) {
  const text = `Fetching the model: ${Math.floor((100 * loaded) / Math.max(total, 1))} % of ${size(total)}`;
  if (runner.running) at("progress-text").textContent = text;
  at("model-line").textContent = text;
  if (loaded >= total && service !== null) describe(service);
}

function add(files) {
  if (files.length === 0) return;
  quiet();
  const added = runner.add(files).map((entry) => {
    const view = new PhotoView(entry, { settings, onRemove: remove, onAgain: again, onTurn: turn, explain });
    views.set(entry, view);
    return view.element;
  });
  at("photos").prepend(...added); // what was asked for last is seen first
  layout();
  goTo(added[0]);
  announce(`Analysing ${count(files.length, "picture")}.`);
  ask();
}

/** Scroll to what has come, unless it is in view. */
function goTo(element) {
  const { top } = element.getBoundingClientRect();
  if (top < 0 || top > 0.7 * innerHeight) at("results").scrollIntoView({ block: "start" });
}

/** The same picture turned clockwise, and asked for anew. */
async function turn(entry, degrees) {
  quiet();
  try {
    runner.replace(entry, await turned(entry.sent, degrees));
  } catch {
    complain("This browser cannot turn this picture.");
    return;
  }
  views.get(entry)?.reload();
  announce(`${entry.name} turned.`);
  ask();
}

/** What the service is must be known before it is asked for answers. */
async function ask() {
  try {
    await meet(true);
  } catch (problem) {
    runner.stop(problem);
    halt(problem);
    finished();
    return;
  }
  await runner.run();
}

/** A key is asked for only when there is a picture to send. */
async function meet(hasPicture) {
  if (service !== null || (hasPicture && runner.entries.length === 0)) return;
  try {
    service = await api.models({ ask: hasPicture });
  } catch (problem) {
    if (hasPicture && problem.all) throw problem;
    return; // what is wrong shows when a picture is sent
  }
  Object.assign(runner.limits, service.limits);
  settings.offer(service);
  describe(service);
}

function describe({ models, default: usual }) {
  const model = models.find(({ name }) => name === usual);
  if (!model) return;
  at("model-line").textContent = `Model ${model.name}. Licence of its weights: ${licence(model.licence)}.`;
  at("model-data").textContent = model.data.length > 0 ? `It has learned from ${learned(model.data)}.` : "";
}

function remove(entry) {
  const element = views.get(entry).element;
  const next = element.nextElementSibling ?? element.previousElementSibling;
  runner.remove(entry);
  views.delete(entry);
  element.remove();
  layout();
  announce(`${entry.name} removed.`);
  if (next) next.querySelector("h3").focus();
  else at("choose").focus();
}

function clear() {
  runner.stop();
  for (const entry of [...views.keys()]) runner.remove(entry);
  views.clear();
  at("photos").replaceChildren();
  quiet();
  layout();
  announce("All pictures removed.");
  at("choose").focus();
}

function again(entry) {
  quiet();
  views.get(entry).title.focus();
  runner.retract([entry]);
  ask();
}

function explain(file, target, face) {
  return api.explain(file, { target, face, model: settings.model });
}

/** Which parts of the page there are. */
function layout() {
  const { entries, running } = runner;
  document.body.classList.toggle("empty", entries.length === 0);
  document.body.classList.toggle("compact", entries.length > 0 || camera.on);
  const faces = entries.reduce((sum, entry) => sum + (entry.record?.faces.length ?? 0), 0);
  const some = entries.some((entry) => entry.record !== null || entry.problem !== null);
  const told = [count(entries.length, "picture"), ...(some ? [count(faces, "face")] : [])];
  at("results-title").textContent = entries.length === 0 ? "Results" : told.join(", ");
  at("progress").hidden = !running;
  for (const id of ["save-json", "save-csv"]) at(id).disabled = !some;
}

function progress() {
  layout();
  const { asked, answered } = runner;
  at("progress-bar").max = asked;
  at("progress-bar").value = answered;
  at("progress-text").textContent = `${answered} of ${asked} done`;
}

/** What stopped all pictures, and a way to go on. */
function halt(problem) {
  complain(problem.message, () => {
    quiet();
    at("results").focus();
    runner.retract();
    ask();
  });
}

function finished() {
  toTell = toTell.filter((entry) => views.has(entry)); // some may have been removed
  const failed = toTell.filter((entry) => entry.state === "failed");
  if (toTell.length === 1) announce(spoken(toTell[0]));
  else if (toTell.length > 1) {
    const faces = toTell.reduce((sum, entry) => sum + (entry.record?.faces.length ?? 0), 0);
    const bad = failed.length > 0 ? ` ${failed.length} without an answer.` : "";
    announce(`Done: ${count(toTell.length, "picture")}, ${count(faces, "face")}.${bad}`);
  }
  toTell = [];
}

function spoken(entry) {
  if (entry.problem) return `${entry.name}: ${entry.problem.message}`;
  if (settings.mode === "check" && entry.check) {
    return `${entry.name}: ${outcome(entry.check.outcome)}. ${sentence(entry.check.reason)}`;
  }
  const { faces } = entry.record;
  const each = faces.length <= 3 ? faces.map((face) => `${faceWords(face)}.`).join(" ") : "";
  return `${entry.name}: ${faces.length === 0 ? "no face found" : count(faces.length, "face")}. ${each}`.trim();
}

/** Records of all pictures, also of those that never reached the service. */
function records() {
  return runner.entries
    .filter((entry) => entry.record !== null || entry.problem !== null)
    .map((entry) => (entry.problem === null || entry.record?.error ? entry.record : failure(entry)));
}

function failure({ name, problem }) {
  return {
    schema_version: 1,
    source: name,
    model: settings.model ?? service?.default ?? null,
    width: null,
    height: null,
    faces: [],
    error: { kind: problem.kind, message: problem.message },
  };
}

/** In age checks the checks themselves; pictures without one are told as they are. */
function checks() {
  return runner.entries
    .filter((entry) => entry.check !== null || entry.problem !== null)
    .map((entry) => entry.check ?? failure(entry));
}

runner.addEventListener("entry", ({ detail: entry }) => {
  views.get(entry)?.update();
  if (["done", "failed"].includes(entry.state) && !toTell.includes(entry)) toTell.push(entry);
});
runner.addEventListener("progress", progress);
runner.addEventListener("idle", finished);
runner.addEventListener("halt", ({ detail: problem }) => halt(problem));
settings.addEventListener("place", () => {
  runner.stop();
  runner.retract();
  service = null;
  camera.close();
  tellWhereabouts(location, settings.place);
  meet(false);
});
settings.addEventListener("change", () => {
  for (const view of views.values()) view.update();
  ask();
});

at("stop").addEventListener("click", () => {
  runner.stop();
  at("results").focus();
});
at("clear").addEventListener("click", clear);
at("save-json").addEventListener("click", () => {
  const checking = settings.mode === "check";
  const text = checking ? toJSON(checks(), true) : toJSON(records(), settings.pmf);
  save(text, checking ? "mien-checks.json" : "mien.json", "application/json");
  announce("JSON saved.");
});
at("save-csv").addEventListener("click", () => {
  save(toCSV(records(), settings.pmf, true), "mien.csv", "text/csv");
  announce("CSV saved.");
});

listen(add, complain);
if (!SERVER) keepPage();
tellWhereabouts(location, settings.place);
layout();
meet(false);
