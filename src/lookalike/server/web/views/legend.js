// What the colours of the map mean.

import { OTHERS } from "./colors.js";
import { element } from "../dom.js";
import { number } from "../format.js";

export function createLegend() {
  const node = element("ul", { className: "legend", "aria-label": "Colours" });

  return {
    node,
    /** @param {import("../contract.js").Colors} colors @param {string[]} palette */
    show({ type, values, codes, min, max }, palette) {
      const entries = values.map((value, code) => entry(value, [palette[code]]));
      if (codes.includes(OTHERS)) entries.push(entry("others", [palette[OTHERS]]));
      if (type === "number" && min !== null && max !== null) {
        const steps = [0, 63, 126, 189, 252].map((code) => palette[code]);
        entries.push(entry(`${number(min)} to ${number(max)}`, steps));
      }
      node.replaceChildren(...entries);
    },
  };
}

/** @param {string} text @param {string[]} colors */
function entry(text, colors) {
  const swatches = colors.map((color) => {
    const swatch = element("i", { "aria-hidden": "true" });
    swatch.style.background = color;
    return swatch;
  });
  return element("li", {}, ...swatches, text);
}
