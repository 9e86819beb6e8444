// A line drawn by hand, as a polygon with few corners.

import { UNITS } from "../polygon.js";

/** The maximum number of corners: a polygon's condition has to fit into an address. */
const MOST_CORNERS = 28;

/** Simplify a drawn line to few corners by removing those that change the area least
 * (Visvalingam & Whyatt 1993). @param {[number, number][]} drawn in halves of the map @returns {number[]} */
export function simplified(drawn) {
  const corners = drawn.map(([x, y]) => [Math.round(x * UNITS), Math.round(y * UNITS)]);
  while (corners.length > MOST_CORNERS) {
    const areas = corners.map(([x, y], i) => {
      const [[x0, y0], [x1, y1]] = [corners.at(i - 1) ?? [0, 0], corners[(i + 1) % corners.length]];
      return Math.abs((x - x0) * (y1 - y0) - (x1 - x0) * (y - y0));
    });
    corners.splice(areas.indexOf(Math.min(...areas)), 1);
  }
  return corners.flat();
}
