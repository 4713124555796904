/** Asks whoever is to work on the pictures, this device or the server: both take the same questions. */

import { DeviceApi } from "./device-api.js";
import { DEVICE } from "./places.js";

export class Route {
  #server;
  #device;

  /**
   * @param {import("./settings.js").Settings} settings says which
   * @param {import("./api.js").Api} server
   * @param {(loaded: number, total: number) => void} onLoad is told while this device fetches what it needs
   */
  constructor(settings, server, onLoad) {
    this.settings = settings;
    this.#server = server;
    this.#device = DEVICE === null ? null : new DeviceApi(new URL(DEVICE, document.baseURI), onLoad);
  }

  /** Whether faces of a camera can be followed from picture to picture. */
  get follows() {
    return this.settings.place === "device";
  }

  models(how) {
    return this.#now.models(how);
  }

  predict(...asked) {
    return this.#now.predict(...asked);
  }

  checkAge(...asked) {
    return this.#now.checkAge(...asked);
  }

  explain(...asked) {
    return this.#now.explain(...asked);
  }

  watch(settings) {
    return this.#device.watch(settings);
  }

  get #now() {
    return this.settings.place === "device" ? this.#device : this.#server;
  }
}
