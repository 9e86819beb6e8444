// The legend of the map's colours. A value is a button: filtering by it dims all others.

import { NO_VALUE, OTHERS } from "./colors.js";
import { element } from "../dom.js";
import { number, titleOf } from "../format.js";

/** @typedef {import("../contract.js").Filter} Filter */

/** @param {(filter: Filter) => void} onFilter */
export function createLegend(onFilter) {
  const node = element("ul", { className: "legend" });

  /** @param {Filter} filter @param {string} color @param {boolean} isChosen */
  function entry(filter, color, isChosen) {
    const made = element("button", { type: "button", "aria-pressed": isChosen }, swatch(color), filter.value);
    made.addEventListener("click", () => onFilter(filter));
    return element("li", {}, made);
  }

  return {
    node,
    /** @param {string} column @param {import("../contract.js").Colors} colors of that column
     * @param {string[]} palette @param {(filter: Filter) => boolean} isChosen */
    show(column, { type, values, codes, min, max }, palette, isChosen) {
      node.setAttribute("aria-label", `Colours by ${titleOf(column)}`);
      const entries = values.map((value, code) => {
        /** @type {Filter} */
        const filter = { column, op: "is", value };
        return entry(filter, palette[code], isChosen(filter));
      });
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
