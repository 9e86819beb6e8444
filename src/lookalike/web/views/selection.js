// The line drawn on the map, and what users can do with the pictures inside it.

import { toPixel } from "./camera.js";
import { FILTERED } from "./colors.js";
import { element, iconButton } from "../dom.js";
import { counted } from "../format.js";
import { button } from "../messages.js";
import { contains, UNITS } from "../polygon.js";
import { simplified } from "./outline.js";

/** @typedef {[number, number][]} Line on the map */
/** @typedef {import("./plot.js").Points} Points */

/**
 * @param {{points: () => Points, onChange: () => void, onShow: (polygon: number[]) => void,
 *   onSearch: (polygon: number[], count: number) => void}} options
 */
export function createSelection({ points, onChange, onShow, onSearch }) {
  /** @type {Line} */
  let line = [];
  let count = 0;
  const said = element("span", { role: "status" });
  const show = button({ text: "Show them", act: () => onShow(simplified(line)) }, "primary");
  const search = button({ text: "Search by them", act: () => onSearch(simplified(line), count) }, "action");
  const drop = iconButton("close", "Clear the selection (Esc)", clear);
  const node = element("div", { className: "picked", hidden: true }, said, show, search, drop);

  function clear() {
    line = [];
    node.hidden = true;
    onChange();
  }

  return {
    node,
    clear,
    isThere: () => line.length > 0,
    /** A line that is still being drawn. @param {Line} next */
    draw(next) {
      line = next;
      node.hidden = true;
      onChange();
    },
    /** The line is complete: count the pictures inside. */
    close() {
      if (line.length < 3) return clear();
      count = countInside(points(), simplified(line));
      said.textContent = count ? counted(count, "picture") : "No pictures inside";
      show.hidden = search.hidden = !count;
      node.hidden = false;
      onChange();
      (count ? show : drop).focus({ preventScroll: true });
    },
    /** @param {HTMLCanvasElement} canvas @param {import("./camera.js").Look} look @param {number} ratio */
    paint(canvas, look, ratio) {
      const context = canvas.getContext("2d");
      if (!line.length || !context) return;
      const ink = getComputedStyle(canvas).color;
      context.beginPath();
      for (const [x, y] of line) context.lineTo(...toPixel(look, canvas, x, y));
      context.closePath();
      Object.assign(context, { strokeStyle: ink, fillStyle: ink, lineWidth: 2 * ratio, globalAlpha: 0.14 });
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    },
  };
}

/** @param {Points} points @param {number[]} polygon */
function countInside({ places, codes }, polygon) {
  let count = 0;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] === FILTERED) continue;
    if (contains(polygon, places[2 * i] * UNITS, places[2 * i + 1] * UNITS)) count++;
  }
  return count;
}
