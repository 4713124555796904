/** Where pictures can be worked on. `mien web` and `mien serve --web` give the page a file of their own in this one's place. */

/** Whether a service answers at v1/. */
export const SERVER = true;

/** Folder of mien for the browser, from the page; null where there is none. */
export const DEVICE = null;
