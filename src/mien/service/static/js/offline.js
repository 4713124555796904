/** Keeps the page itself for visits without a network, where it was made by `mien web`. */

const WORKER = "sw.js";

/** Register the service worker; a browser without one loses nothing else. */
export async function keepPage() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL(WORKER, document.baseURI));
  } catch {
    // a private window, or a page over plain http
  }
}
