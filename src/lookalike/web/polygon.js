// A part of the map, drawn by hand: a polygon as [x, y, x, y, …] in units of 1/100,000 of half the map's width.

export const UNITS = 100_000;

/** Whether a point is inside, by the even-odd rule: a ray to the right crosses the border an odd number of times.
 * @param {number[]} polygon @param {number} x @param {number} y both in units */
export function contains(polygon, x, y) {
  let isInside = false;
  for (const [x0, y0, x1, y1] of edgesOf(polygon)) {
    if (y > y0 && y <= y1 && x < x0 + ((x1 - x0) / (y1 - y0)) * (y - y0)) isInside = !isInside;
  }
  return isInside;
}

/** The same test as SQL over the map's columns. @param {number[]} polygon */
export function insideSql(polygon) {
  const crossings = edgesOf(polygon).map(([x0, y0, x1, y1]) => {
    const slope = (x1 - x0) / (y1 - y0);
    const [low, high, at] = [y0, y1, x0 - slope * y0].map((value) => short(value / UNITS));
    return `(map_y > ${low} AND map_y <= ${high} AND map_x < ${short(slope)} * map_y + ${at})`;
  });
  return crossings.length ? `(${crossings.join(" <> ")})` : "false";
}

/** The edges that are not horizontal, each from its lower end to its upper. @param {number[]} polygon */
function edgesOf(polygon) {
  /** @type {[number, number, number, number][]} */
  const edges = [];
  for (let i = 0; i + 1 < polygon.length; i += 2) {
    const [x0, y0] = [polygon[i], polygon[i + 1]];
    const next = (i + 2) % polygon.length;
    const [x1, y1] = [polygon[next], polygon[next + 1]];
    if (y0 < y1) edges.push([x0, y0, x1, y1]);
    if (y0 > y1) edges.push([x1, y1, x0, y0]);
  }
  return edges;
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(7)));
}
