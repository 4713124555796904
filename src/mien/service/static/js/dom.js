/** Builds elements without innerHTML, so that text stays text whatever a file is called. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Attributes that start with "on" are listeners; null, undefined and false are left out.
 * @param {string} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** A drawing of the page's sprite, for decoration beside words. */
export function icon(name) {
  return s("svg", { class: "icon", "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));
}

/** The element with an id. */
export function at(id) {
  return document.getElementById(id);
}

/** Puts an element at shares of its parent, 0 to 1 from left and top; the page's policy forbids style attributes. */
export function place(element, { left, top, width, height }) {
  const numbers = { left, top, width, height };
  for (const [side, share] of Object.entries(numbers)) {
    if (share !== undefined) element.style[side] = `${(100 * share).toFixed(3)}%`;
  }
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
