// The keyboard: what each key does, unless a field or a dialog handles it.

import { find, isPlain } from "./dom.js";

const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable]";

/**
 * @param {Record<string, () => void>} actions by `event.key`
 * @param {{move: (key: string) => boolean, hasFocus: () => boolean}} grid
 */
export function createKeys(actions, grid) {
  const help = /** @type {HTMLDialogElement} */ (find("help"));
  find("help-open").addEventListener("click", () => help.showModal());
  find("help-close").addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => {
    if (event.target === help) help.close(); // a click outside it
  });

  addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const isTyping = target.matches(FIELDS);
    const { key } = event;
    if (event.defaultPrevented || help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping && key !== "Escape") return;
    if (key === "Escape" && document.querySelector(":popover-open")) return; // the browser closes it
    if (key === "?") help.showModal();
    else if (isPlain(event) && mayMove(target, key) && grid.move(key)) event.preventDefault();
    else if (actions[key] && !(key === " " && target.matches("button, summary, input"))) actions[key]();
    else return;
    event.preventDefault();
  });

  /** Whether a key is for the grid: the focus is there or nowhere. Page keys also scroll other things. @param {Element} target @param {string} key */
  function mayMove(target, key) {
    if (grid.hasFocus()) return !target.matches("button");
    return target === document.body && key.startsWith("Arrow");
  }
}
