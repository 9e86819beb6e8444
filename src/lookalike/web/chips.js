// The query as a row of chips, one for each term, with its sign and weight.

import { element, exchange, find, icon, iconButton } from "./dom.js";
import { MAX_WEIGHT, weigh, WEIGHT_STEP, without } from "./terms.js";

/** @typedef {import("./terms.js").Term} Term */

/**
 * @param {{
 *   pictureOf: (term: Term) => string, nameOf: (term: Term) => string,
 *   canOpen: (term: Term) => boolean, onOpen: (term: Term) => void,
 *   onChange: (terms: Term[]) => void}} options
 */
export function createChips({ pictureOf, nameOf, canOpen, onOpen, onChange }) {
  const [row, editor] = [find("chips"), find("editor")];
  /** @type {Term[]} */
  let shown = [];

  /** @param {Term} term @param {number} n */
  function createChip(term, n) {
    const [name, url] = [nameOf(term), pictureOf(term)];
    const isLess = term.weight < 0;
    const size = Math.abs(term.weight);
    const main = element(
      "button",
      {
        type: "button",
        className: "chip-main",
        "aria-haspopup": "dialog",
        "aria-label": `${isLess ? "Less" : "More"} like ${name}${size === 1 ? "" : `, ${size} times`}: change`,
      },
      url && element("img", { src: url, alt: "", width: 36, height: 36, draggable: false }),
      element("span", { className: "sign", textContent: isLess ? "−" : "+" }),
      element("span", { className: "chip-name", textContent: name }),
      size !== 1 && element("span", { className: "weight", textContent: `×${size}` }),
    );
    main.addEventListener("click", () => edit(n, main));
    main.addEventListener("keydown", (event) => onKey(event, n));
    const remove = iconButton("close", `Remove ${name}`, () => onChange(without(shown, n)), "clear");
    return element("li", { className: isLess ? "chip less" : "chip" }, main, remove);
  }

  /** @param {KeyboardEvent} event @param {number} n */
  function onKey(event, n) {
    const { weight } = shown[n];
    const step = { ArrowUp: WEIGHT_STEP, ArrowDown: -WEIGHT_STEP }[event.key] ?? 0;
    let next;
    if (step) next = weigh(shown, n, Math.sign(weight) * Math.max(WEIGHT_STEP, Math.abs(weight) + step));
    else if (event.key === "-" || event.key === "+")
      next = weigh(shown, n, event.key === "-" ? -Math.abs(weight) : Math.abs(weight));
    else if (event.key === "Delete" || event.key === "Backspace") next = without(shown, n);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    onChange(next);
  }

  /** @param {number} n @param {HTMLElement} at */
  function edit(n, at) {
    const term = shown[n];
    const close = () => editor.hidePopover();
    /** @param {number} weight */
    const set = (weight) => onChange(weigh(shown, n, weight));
    const sign = (/** @type {string} */ text, /** @type {1 | -1} */ direction) => {
      const pressed = Math.sign(term.weight) === direction;
      const made = element("button", { type: "button", "aria-pressed": pressed, textContent: text });
      made.addEventListener("click", () => (close(), set(direction * Math.abs(shown[n].weight))));
      return made;
    };
    const value = element("output", { textContent: `×${Math.abs(term.weight)}` });
    const slider = element("input", {
      type: "range",
      min: String(WEIGHT_STEP),
      max: String(MAX_WEIGHT),
      step: String(WEIGHT_STEP),
      value: String(Math.abs(term.weight)),
    });
    slider.addEventListener("input", () => (value.textContent = `×${Number(slider.value)}`));
    slider.addEventListener("change", () => set(Math.sign(shown[n].weight) * Number(slider.value)));
    const open =
      canOpen(term) &&
      element("button", { type: "button", className: "plain" }, icon("region"), "Show it, or choose a part");
    if (open) open.addEventListener("click", () => (close(), onOpen(term)));
    editor.replaceChildren(
      element(
        "div",
        { className: "segments", role: "group", "aria-label": "More or less" },
        sign("More like this", 1),
        sign("Less like this", -1),
      ),
      element(
        "label",
        { className: "how-much" },
        element("span", { textContent: "How much" }),
        slider,
        value,
      ),
      ...(open ? [open] : []),
    );
    const box = at.getBoundingClientRect();
    editor.showPopover();
    editor.style.left = `${Math.max(8, Math.min(box.left, innerWidth - editor.offsetWidth - 8))}px`;
    editor.style.top = `${box.bottom + 10}px`;
    /** @type {HTMLElement | null} */ (editor.querySelector("[aria-pressed=true]"))?.focus();
  }

  return {
    /** @param {Term[]} terms */
    show(terms) {
      const hadFocus = row.contains(document.activeElement);
      shown = terms;
      exchange(row, terms.map(createChip), find(find("words").hidden ? "choose" : "words"));
      row.hidden = !terms.length;
      if (!hadFocus) row.scrollLeft = row.scrollWidth; // show the newest chip
    },
    focusLast: () =>
      /** @type {HTMLElement | null} */ (row.lastElementChild?.querySelector("button"))?.focus(),
  };
}
