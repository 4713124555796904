/** Asks for the API key of a service that wants one. */

import { at } from "./dom.js";

/**
 * Open the dialog.
 * @param {boolean} refused whether a key has been tried and refused
 * @returns {Promise<string | null>} the key; null where the user would not say
 */
export function askKey(refused) {
  const dialog = at("key");
  const input = at("key-input");
  const before = document.activeElement;
  at("key-why").textContent = "Whoever runs it can give you one. The pictures wait until then.";
  at("key-error").textContent = refused ? "That key was refused. Check it, and try again." : "";
  input.setAttribute("aria-invalid", String(refused));
  input.value = "";
  return new Promise((resolve) => {
    const done = new AbortController();
    const listen = (element, name, act) => element.addEventListener(name, act, { signal: done.signal });
    let key = null;
    listen(at("key-form"), "submit", (event) => {
      event.preventDefault();
      key = input.value.trim() || null;
      dialog.close();
    });
    listen(at("key-cancel"), "click", () => dialog.close());
    listen(dialog, "close", () => {
      done.abort();
      input.value = "";
      before?.focus?.();
      resolve(key);
    });
    dialog.showModal();
    input.focus();
  });
}
