// Where the map is looked at from: which place is in the middle of the canvas, and how large all is.

const MOST_ZOOM = 2000;
/** The part of the canvas that the whole map takes. */
const FILL = 0.92;

/** @typedef {{x: number, y: number, zoom: number}} Look */
/** @typedef {{width: number, height: number}} Size of the canvas, in pixels */

/** Pixels that a length of 1 on the map takes. @param {Look} look @param {Size} size */
export function scaleOf({ zoom }, { width, height }) {
  return (Math.min(width, height) / 2) * FILL * zoom;
}

/** The pixel of a place; y goes up on the map and down on the canvas.
 * @param {Look} look @param {Size} size @param {number} x @param {number} y @returns {[number, number]} */
export function toPixel(look, size, x, y) {
  const scale = scaleOf(look, size);
  return [size.width / 2 + (x - look.x) * scale, size.height / 2 - (y - look.y) * scale];
}

/** @param {Look} look @param {Size} size @param {number} left @param {number} top @returns {[number, number]} */
export function toPlace(look, size, left, top) {
  const scale = scaleOf(look, size);
  return [look.x + (left - size.width / 2) / scale, look.y - (top - size.height / 2) / scale];
}

/** Zoom by a factor; the place at this pixel stays there.
 * @param {Look} look @param {Size} size @param {number} factor @param {number} left @param {number} top
 * @returns {Look} */
export function zoomed(look, size, factor, left, top) {
  const [x, y] = toPlace(look, size, left, top);
  const zoom = Math.min(MOST_ZOOM, Math.max(0.5, look.zoom * factor));
  const stays = look.zoom / zoom;
  return { x: x + (look.x - x) * stays, y: y + (look.y - y) * stays, zoom };
}

/** @param {Look} look @param {Size} size @param {number} right @param {number} down in pixels @returns {Look} */
export function moved(look, size, right, down) {
  const scale = scaleOf(look, size);
  return { ...look, x: look.x - right / scale, y: look.y + down / scale };
}
