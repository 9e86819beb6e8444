// The camera of the map: which place is in the middle of the canvas, and the zoom.

const [LEAST_ZOOM, MOST_ZOOM] = [0.5, 2000];
/** The share of the canvas that the whole map fills. */
const FILL = 0.92;

/** @typedef {{x: number, y: number, zoom: number}} Look */
/** @typedef {{width: number, height: number}} Size of the canvas, in pixels */

export const WHOLE = { x: 0, y: 0, zoom: 1 };

/** A look as text for the address, such as `0.25,-0.1,4`; empty for the whole map. @param {Look} look */
export function lookText({ x, y, zoom }) {
  const text = [Number(x.toFixed(4)), Number(y.toFixed(4)), Number(zoom.toPrecision(4))].join();
  return text === "0,0,1" ? "" : text;
}

/** Parse a look from an address; the whole map if it is invalid. @param {string} text @returns {Look} */
export function lookOf(text) {
  const [x, y, zoom] = text.split(",").map(Number);
  const isSound = [x, y, zoom].every(Number.isFinite) && text !== "";
  return isSound
    ? { x: within(x, -2, 2), y: within(y, -2, 2), zoom: within(zoom, LEAST_ZOOM, MOST_ZOOM) }
    : WHOLE;
}

/** @param {number} value @param {number} low @param {number} high */
function within(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** The pixels of a length of 1 on the map. @param {Look} look @param {Size} size */
export function scaleOf({ zoom }, { width, height }) {
  return (Math.min(width, height) / 2) * FILL * zoom;
}

/** The pixel of a place; y points up on the map and down on the canvas.
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

/** Zoom by a factor; the place at this pixel stays put.
 * @param {Look} look @param {Size} size @param {number} factor @param {number} left @param {number} top
 * @returns {Look} */
export function zoomed(look, size, factor, left, top) {
  const [x, y] = toPlace(look, size, left, top);
  const zoom = within(look.zoom * factor, LEAST_ZOOM, MOST_ZOOM);
  const stays = look.zoom / zoom;
  return { x: x + (look.x - x) * stays, y: y + (look.y - y) * stays, zoom };
}

/** @param {Look} look @param {Size} size @param {number} right @param {number} down in pixels @returns {Look} */
export function moved(look, size, right, down) {
  const scale = scaleOf(look, size);
  return { ...look, x: look.x - right / scale, y: look.y + down / scale };
}
