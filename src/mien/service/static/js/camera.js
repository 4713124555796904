/** The camera: a live picture, single shots, and on demand an analysis: of about one picture a second by a server, of up
 * to ten on this device, where faces are followed and their ages averaged. */

import { pause, Problem } from "./api.js";
import { faceBox, showBoxes } from "./boxes.js";
import { at, h, icon } from "./dom.js";
import { count, face as faceWords, outcome, years } from "./words.js";

const LONGEST_SIDE = 960; // pixels of a picture for the analysis; single shots are sent as they are
const SERVICE = { every: 1000, rest: 200 }; // milliseconds from one analysis to the next, and between them, at least
const DEVICE = { every: 100, rest: 40 }; // the same on this device: faces are followed, batteries spared
const QUALITY = 0.9;

const REFUSALS = {
  NotAllowedError:
    "The browser was not allowed to use the camera. Allow it in the settings of this site, then try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program.",
  OverconstrainedError: "This camera cannot be used.",
};

export class Camera {
  #stream = null;
  #facing = "user";
  #shots = 0;
  #live = null; // ends the running analysis
  #opening = 0;

  /**
   * @param {{api: object, settings: object, onShot: (file: File) => void, onSwitch: () => void,
   *   complain: (message: string) => void, announce: (text: string) => void}} about
   */
  constructor(about) {
    this.about = about;
    at("use-camera").addEventListener("click", () => this.open());
    at("camera-stop").addEventListener("click", () => this.close(true));
    at("snap").addEventListener("click", () => this.#snap());
    at("flip").addEventListener("click", () => this.#flip());
    at("live").addEventListener("change", (event) => (event.target.checked ? this.#analyse() : this.#rest()));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#rest();
      else if (at("live").checked && this.#stream) this.#analyse();
    });
    addEventListener("pagehide", () => this.close());
  }

  /** Whether the camera is on. */
  get on() {
    return this.#stream !== null;
  }

  async open() {
    if (this.#stream) {
      at("camera-title").focus();
      return;
    }
    if (!navigator.mediaDevices?.getUserMedia) {
      this.about.complain(
        "The browser gives the camera only to pages served over https or from this machine (localhost).",
      );
      return;
    }
    const turn = ++this.#opening;
    try {
      const video = { facingMode: this.#facing, width: { ideal: 1280 }, height: { ideal: 720 } };
      const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      if (turn !== this.#opening) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      await this.#show(stream);
    } catch (error) {
      this.about.complain(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}.`);
    }
  }

  close(back = false) {
    this.#opening += 1;
    this.#rest();
    at("live").checked = false;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    at("video").srcObject = null;
    at("camera").hidden = true;
    this.about.onSwitch();
    if (back) at("use-camera").focus();
  }

  async #show(stream) {
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.close());
    const seen = track.getSettings?.().facingMode;
    this.mirrored = seen !== "environment"; // people expect to see themselves as in a mirror
    at("camera-frame").classList.toggle("mirrored", this.mirrored);
    at("camera").hidden = false;
    this.about.onSwitch();
    const video = at("video");
    video.srcObject = stream;
    await video.play();
    at("camera-frame").style.setProperty("--ratio", String(video.videoWidth / video.videoHeight));
    const devices = await navigator.mediaDevices.enumerateDevices();
    at("flip").hidden = devices.filter((device) => device.kind === "videoinput").length < 2;
    at("camera-title").focus();
    this.about.announce("The camera is on.");
  }

  async #flip() {
    this.#facing = this.#facing === "user" ? "environment" : "user";
    this.close();
    await this.open();
  }

  async #snap() {
    const file = await this.#frame(Infinity);
    if (file) this.about.onShot(file.file);
  }

  /** The picture of this moment as a JPEG file, its longer side no more than `longest`. */
  async #frame(longest) {
    const video = at("video");
    if (!video.videoWidth) return null;
    const scale = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.round(video.videoWidth * scale);
    const height = Math.round(video.videoHeight * scale);
    const canvas = h("canvas", { width, height });
    canvas.getContext("2d").drawImage(video, 0, 0, width, height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (blob === null) return null;
    if (longest === Infinity) this.#shots += 1;
    return { file: new File([blob], `camera-${this.#shots}.jpg`, { type: "image/jpeg" }), width, height };
  }

  /** One picture after the other: the next is taken only when the last has been answered. */
  async #analyse() {
    this.#rest();
    const live = new AbortController();
    this.#live = live;
    let said = "";
    let watch = null;
    while (this.#live === live) {
      const began = performance.now();
      try {
        if (this.about.api.follows) watch ??= await this.about.api.watch(this.about.settings);
        const text = await this.#look(live.signal, watch);
        if (this.#live === live && text !== said) this.about.announce(text);
        said = text;
        const { every, rest } = watch ? DEVICE : SERVICE;
        await pause(Math.max(rest, every - (performance.now() - began)), live.signal);
      } catch (error) {
        if (error.name === "AbortError" || this.#live !== live) return;
        this.#rest();
        at("live").checked = false;
        this.about.complain(error instanceof Problem ? error.message : `The analysis stopped: ${error.message}.`);
      }
    }
  }

  #rest() {
    this.#live?.abort();
    this.#live = null;
    at("camera-boxes").replaceChildren();
    at("live-list").replaceChildren();
  }

  async #look(signal, watch) {
    const { api, settings } = this.about;
    if (watch) {
      const seen = await watch(at("video"), settings, signal);
      if (signal.aborted) return "";
      this.#draw(seen.faces, seen);
      return told(seen.faces);
    }
    const frame = await this.#frame(LONGEST_SIDE);
    if (!frame) return "";
    const checking = settings.mode === "check";
    const [answer] = await (checking
      ? api.checkAge([frame.file], settings, signal)
      : api.predict([frame.file], settings, signal));
    if (signal.aborted) return "";
    const faces = checking ? answer.faces : answer.faces.map((face) => ({ face, outcome: null, reason: null }));
    this.#draw(faces, frame);
    return told(faces);
  }

  #draw(faces, { width, height }) {
    const boxes = faces.map(({ face, outcome: name, track }, index) =>
      faceBox(face.box, width, height, {
        label: name ? outcome(name) : `${years(face.age)}`,
        number: faces.length > 1 ? (track ?? index + 1) : null,
        outcome: name ?? null,
        mirrored: this.mirrored,
      }),
    );
    const lines = faces.map(({ face, outcome: name }) =>
      h(
        "li",
        {},
        name ? icon(name) : null,
        h("span", {}, name ? `${outcome(name)}; ${faceWords(face)}` : faceWords(face)),
      ),
    );
    showBoxes(at("camera-boxes"), boxes);
    at("live-list").replaceChildren(...(lines.length > 0 ? lines : [h("li", {}, "No face in view")]));
  }
}

function told(faces) {
  return faces.length === 0 ? "No face in view." : `${count(faces.length, "face")} in view.`;
}
