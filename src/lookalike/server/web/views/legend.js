// What the colours of the map mean. A value is a button: a filter on it dims all others.

import { NO_VALUE, OTHERS } from "./colors.js";
import { element } from "../dom.js";
import { number } from "../format.js";

/** @param {(value: string) => void} onValue */
export function createLegend(onValue) {
  const node = element("ul", { className: "legend", "aria-label": "Colours" });

  /** @param {string} value @param {string} color @param {boolean} isChosen */
  function entry(value, color, isChosen) {
    const made = element("button", { type: "button", "aria-pressed": isChosen }, swatch(color), value);
    made.addEventListener("click", () => onValue(value));
    return element("li", {}, made);
  }

  return {
    node,
    /** @param {import("../contract.js").Colors} colors @param {string[]} palette
     * @param {(value: string) => boolean} isChosen */
    show({ type, values, codes, min, max }, palette, isChosen) {
      const entries = values.map((value, code) => entry(value, palette[code], isChosen(value)));
      if (codes.includes(OTHERS)) entries.push(element("li", {}, swatch(palette[OTHERS]), "others"));
      if (type === "number" && min !== null && max !== null) {
        const scale = element("i", { className: "scale", "aria-hidden": "true" });
        const steps = [0, 63, 126, 189, 252].map((code) => palette[code]);
        scale.style.background = `linear-gradient(to right, ${steps.join()})`;
        entries.push(element("li", {}, number(min), scale, number(max)));
      }
      const isMissing = type !== "none" && codes.includes(NO_VALUE);
      if (isMissing) entries.push(element("li", {}, swatch(palette[NO_VALUE]), "no value"));
      node.replaceChildren(...entries);
    },
  };
}

/** @param {string} color */
function swatch(color) {
  const made = element("i", { "aria-hidden": "true" });
  made.style.background = color;
  return made;
}
