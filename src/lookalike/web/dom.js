// Small helpers for making elements.

/**
 * Make an element with these properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name @param {Record<string, any>} [properties] names with a dash are attributes
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") made.setAttribute(key, String(value));
    else Object.assign(made, { [key]: value });
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** The page's element with an id, which has to exist. @param {string} id @returns {HTMLElement} */
export function find(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** Replace all children. If one of them had the focus, the new one in its place gets it,
 * or `otherwise` if none is left.
 * @param {HTMLElement} place @param {HTMLElement[]} children @param {HTMLElement} otherwise */
export function exchange(place, children, otherwise) {
  const at = [...place.children].findIndex((one) => one.contains(document.activeElement));
  place.replaceChildren(...children);
  if (at < 0) return;
  const next = children[Math.min(at, children.length - 1)];
  (next?.matches("button") ? next : (next?.querySelector("button") ?? otherwise)).focus();
}

const SVG = "http://www.w3.org/2000/svg";

/** The icons of the buttons, on a square of 20. */
const PATHS = {
  close: "m5.5 5.5 9 9m0-9-9 9",
  plus: "M10 4.5v11M4.5 10h11",
  minus: "M4.5 10h11",
  info: "M10 9.2v4.6M10 6.3v.1M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0",
  similar: "M12.6 12.6 17 17M14 8.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0",
  open: "M11.5 4H16v4.5M16 4l-6.5 6.5M8 5H5.5A1.5 1.5 0 0 0 4 6.5v8A1.5 1.5 0 0 0 5.5 16h8a1.5 1.5 0 0 0 1.5-1.5V12",
  region:
    "M3.5 7V5A1.5 1.5 0 0 1 5 3.5h2M13 3.5h2A1.5 1.5 0 0 1 16.5 5v2M16.5 13v2a1.5 1.5 0 0 1-1.5 1.5h-2M7 16.5H5A1.5 1.5 0 0 1 3.5 15v-2",
  previous: "m12 4.5-5.5 5.5 5.5 5.5",
  next: "m8 4.5 5.5 5.5L8 15.5",
};

/** An icon, hidden from screen readers. @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A round button that shows an icon. @param {keyof typeof PATHS} drawing @param {string} label
 * @param {(event: MouseEvent) => void} act @param {string} [className] */
export function iconButton(drawing, label, act, className = "round") {
  const made = element(
    "button",
    { type: "button", className, title: label, "aria-label": label },
    icon(drawing),
  );
  made.addEventListener("click", act);
  return made;
}

/** A link that can be opened in a new tab; a plain click acts without leaving the page.
 * @param {HTMLAnchorElement} link @param {(event: MouseEvent) => void} act */
export function onPlainClick(link, act) {
  link.addEventListener("click", (event) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    act(event);
  });
  return link;
}

/** Whether a click or key has no modifier that asks for something special, such as a new tab.
 * @param {{ctrlKey: boolean, metaKey: boolean, altKey: boolean, shiftKey: boolean}} event */
export function isPlain(event) {
  return !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}
