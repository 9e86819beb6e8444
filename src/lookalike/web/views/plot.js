// Draws the points of the map as discs, straight into a canvas's pixels: milliseconds for 100,000.

import { scaleOf } from "./camera.js";
import { FILTERED, OTHERS, rgbOf } from "./colors.js";

/** Pictures are shown if at most this many points are in view, one in each cell of the canvas. */
const MOST_SEEN = 3000;
const MOST_PICTURES = 150;
/** With more points, edges are not smoothed: blending them takes longer than everything else. */
export const MANY = 20_000;
/** The drawing order, by code. */
const RANKS = Uint8Array.from({ length: 256 }, (_, code) => (code < OTHERS ? 2 : Number(code < FILTERED)));
/** A cell and those around it. */
const AROUND = [-1, 0, 1].flatMap((right) => [-1, 0, 1].map((down) => [right, down]));

/**
 * @typedef {import("./camera.js").Look} Look
 * @typedef {{places: Float32Array, codes: Uint8Array, colors: string[]}} Points
 */

/** Draw all points: first those that are filtered out, then those without a colour of their own, then the rest.
 * @param {HTMLCanvasElement} canvas @param {Points} points @param {Look} look @param {number} radius in pixels */
export function plot(canvas, { places, codes, colors }, look, radius) {
  const { width, height } = canvas;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const inks = Uint32Array.from(colors, inkOf);
  const { inner, rim } = discOf(radius, width, codes.length < MANY);
  const scale = scaleOf(look, canvas);
  const [left, top, margin] = [
    width / 2 - look.x * scale,
    height / 2 + look.y * scale,
    Math.ceil(radius) + 1,
  ];
  for (const rank of [0, 1, 2]) {
    for (let i = 0; i < codes.length; i++) {
      if (RANKS[codes[i]] !== rank) continue;
      const x = Math.round(left + places[2 * i] * scale);
      const y = Math.round(top - places[2 * i + 1] * scale);
      if (x < margin || y < margin || x >= width - margin || y >= height - margin) continue;
      const [at, ink] = [y * width + x, inks[codes[i]]];
      for (let j = 0; j < inner.length; j++) pixels[at + inner[j]] = ink;
      for (let j = 0; j < rim.length; j += 2)
        pixels[at + rim[j]] = mixed(pixels[at + rim[j]], ink, rim[j + 1]);
    }
  }
  context.putImageData(image, 0, 0);
}

/** The points to show pictures of, without overlaps; none if too many are in view.
 * @param {{width: number, height: number}} size @param {Points} points @param {Look} look @param {number} side
 * of a picture @param {number[]} before those shown so far, which are kept if possible */
export function pictured(size, { places, codes }, look, side, before) {
  const seen = visible(size, places, codes, look);
  if (seen.length > MOST_SEEN) return [];
  const scale = scaleOf(look, size);
  const isSeen = new Set(seen);
  const chosen = [];
  /** By their cell of the map. @type {Map<string, number>} */
  const cells = new Map();
  for (const i of [...before.filter((row) => isSeen.has(row)), ...seen]) {
    const [x, y] = [places[2 * i] * scale, places[2 * i + 1] * scale];
    const [column, row] = [Math.floor(x / side), Math.floor(y / side)];
    const isTaken = AROUND.some(([right, down]) => {
      const other = cells.get(`${column + right} ${row + down}`);
      if (other === undefined) return false;
      return (
        Math.abs(places[2 * other] * scale - x) < side && Math.abs(places[2 * other + 1] * scale - y) < side
      );
    });
    if (isTaken) continue;
    cells.set(`${column} ${row}`, i);
    if (chosen.push(i) === MOST_PICTURES) break;
  }
  return chosen;
}

/** The point nearest to a pixel, at most `reach` pixels away, or -1.
 * @param {{width: number, height: number}} size @param {Points} points @param {Look} look
 * @param {number} left @param {number} top @param {number} reach */
export function nearest(size, { places, codes }, look, left, top, reach) {
  const scale = scaleOf(look, size);
  const x = look.x + (left - size.width / 2) / scale;
  const y = look.y - (top - size.height / 2) / scale;
  let [best, least] = [-1, (reach / scale) ** 2];
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] === FILTERED) continue;
    const distance = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
    if (distance <= least) [best, least] = [i, distance];
  }
  return best;
}

/** @param {{width: number, height: number}} size @param {Float32Array} places @param {Uint8Array} codes
 * @param {Look} look */
function visible({ width, height }, places, codes, look) {
  const scale = scaleOf(look, { width, height });
  const [across, up] = [width / 2 / scale, height / 2 / scale];
  const found = [];
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] === FILTERED) continue;
    if (Math.abs(places[2 * i] - look.x) <= across && Math.abs(places[2 * i + 1] - look.y) <= up)
      found.push(i);
  }
  return found;
}

/** The pixels of a disc, as offsets from its middle in a picture of this width: the full ones, and those on the
 * edge with their share, of 256. @param {number} radius @param {number} width
 * @param {boolean} isSmooth */
function discOf(radius, width, isSmooth) {
  /** @type {[number[], number[]]} */
  const [inner, rim] = [[], []];
  const reach = Math.ceil(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const share = Math.round(256 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y))));
      if (share === 256 || (!isSmooth && share >= 128)) inner.push(y * width + x);
      else if (isSmooth && share > 0) rim.push(y * width + x, share);
    }
  }
  return { inner: Int32Array.from(inner), rim: Int32Array.from(rim) };
}

/** Blend a share (of 256) of an ink over a pixel; over nothing, the ink gets that opacity.
 * @param {number} under @param {number} ink @param {number} share */
function mixed(under, ink, share) {
  const below = under >>> 24;
  if (!below) return ((share << 24) | (ink & 0xffffff)) >>> 0;
  const rest = 256 - share;
  // Two of the three channels at once: a product of two bytes takes two bytes.
  const odd = (((ink & 0xff00ff) * share + (under & 0xff00ff) * rest) / 256) & 0xff00ff;
  const even = (((ink & 0xff00) * share + (under & 0xff00) * rest) / 256) & 0xff00;
  return ((Math.max(below, share) << 24) | odd | even) >>> 0;
}

/** A colour as a pixel in memory, where red comes first. @param {string} hex */
function inkOf(hex) {
  const [red, green, blue] = rgbOf(hex);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
