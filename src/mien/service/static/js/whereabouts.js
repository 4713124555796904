/** Says where the pictures go: no further than the host that this page comes from. */

import { at } from "./dom.js";

const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\]|.+\.localhost)$/;

export function tellWhereabouts({ hostname, host } = location) {
  const local = LOCAL.test(hostname);
  at("where-short").textContent = local ? "Stays on this machine" : `Goes to ${host} only`;
  at("where-long").textContent = local
    ? "Your pictures never leave this machine, and none is kept."
    : `Your pictures go to ${host}, and nowhere else. None is kept.`;
  at("where-details").textContent = local
    ? "The service runs on this machine. A picture that you add goes to it and no further."
    : `A picture that you add goes to ${host}, the server that this page comes from, and no further.`;
}
