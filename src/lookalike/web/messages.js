// Messages on the page: instead of the pictures, over them, or at a field.

import { element, find, onPlainClick } from "./dom.js";

/** @typedef {{text: string, href?: string, act: () => void}} Action */

export function createMessages() {
  const [place, note] = [find("message"), find("notice")];

  function clear() {
    place.hidden = true;
    place.replaceChildren();
    note.replaceChildren();
  }

  /**
   * Show a message instead of the pictures.
   * @param {string} title @param {string} text @param {Action[]} actions
   */
  function inPlace(title, text, actions = []) {
    clear();
    const row = element(
      "div",
      { className: "actions" },
      ...actions.map((action) => button(action, "action")),
    );
    place.append(element("h2", { textContent: title }), element("p", { textContent: text }), row);
    place.hidden = false;
  }

  /** Show a message over the pictures. @param {string} text @param {Action} [action] */
  function over(text, action) {
    const dismiss = { text: "Dismiss", act: () => note.replaceChildren() };
    const buttons = (action ? [action, dismiss] : [dismiss]).map((one) => button(one, ""));
    note.replaceChildren(element("span", { textContent: text }), ...buttons);
  }

  return { clear, inPlace, over, clearNote: () => note.replaceChildren() };
}

/** @param {Action} action @param {string} className */
export function button({ text, href, act }, className) {
  if (href) return onPlainClick(element("a", { href, className, textContent: text }), act);
  const made = element("button", { type: "button", className, textContent: text });
  made.addEventListener("click", act);
  return made;
}
