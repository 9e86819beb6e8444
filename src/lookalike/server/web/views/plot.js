// Draws the points of the map: discs into the pixels of a canvas, which takes milliseconds for 100,000.

import { scaleOf } from "./camera.js";
import { FILTERED, rgbOf } from "./colors.js";

/** Pictures are shown where no more points than these are seen, one in each cell of the canvas. */
const MOST_SEEN = 3000;
const MOST_PICTURES = 150;

/**
 * @typedef {import("./camera.js").Look} Look
 * @typedef {{places: Float32Array, codes: Uint8Array, colors: string[]}} Points
 */

/** Draw all points, those that are filtered out below the others.
 * @param {HTMLCanvasElement} canvas @param {Points} points @param {Look} look @param {number} radius in pixels */
export function plot(canvas, { places, codes, colors }, look, radius) {
  const { width, height } = canvas;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const inks = Uint32Array.from(colors, inkOf);
  const disc = discOf(radius);
  const scale = scaleOf(look, canvas);
  const [left, top] = [width / 2 - look.x * scale, height / 2 + look.y * scale];
  for (const isBelow of [true, false]) {
    for (let i = 0; i < codes.length; i++) {
      if ((codes[i] === FILTERED) !== isBelow) continue;
      const x = Math.round(left + places[2 * i] * scale);
      const y = Math.round(top - places[2 * i + 1] * scale);
      if (x < radius || y < radius || x >= width - radius || y >= height - radius) continue;
      const [at, ink] = [y * width + x, inks[codes[i]]];
      for (let j = 0; j < disc.length; j += 2) pixels[at + disc[j + 1] * width + disc[j]] = ink;
    }
  }
  context.putImageData(image, 0, 0);
}

/** The points to show pictures of: the first in each cell, and none where too many are seen.
 * @param {{width: number, height: number}} size @param {Points} points @param {Look} look @param {number} cell */
export function pictured(size, { places, codes }, look, cell) {
  const seen = visible(size, places, codes, look);
  if (seen.length > MOST_SEEN) return [];
  const scale = scaleOf(look, size);
  /** By the cell's place on the map, so that moving the map changes no choice. @type {Map<string, number>} */
  const taken = new Map();
  for (const i of seen) {
    const key = `${Math.floor((places[2 * i] * scale) / cell)} ${Math.floor((places[2 * i + 1] * scale) / cell)}`;
    if (!taken.has(key)) taken.set(key, i);
  }
  return [...taken.values()].slice(0, MOST_PICTURES);
}

/** The point nearest to a pixel, at most `reach` pixels away; -1 for none.
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

/** The pixels of a disc, as steps [right, down, right, down, …] from its middle. @param {number} radius */
function discOf(radius) {
  const steps = [];
  for (let y = -radius; y <= radius; y++) {
    for (let x = -radius; x <= radius; x++) {
      if (x * x + y * y <= radius * radius + 0.5) steps.push(x, y);
    }
  }
  return Int32Array.from(steps);
}

/** A colour as a pixel in memory, where red comes first. @param {string} hex */
function inkOf(hex) {
  const [red, green, blue] = rgbOf(hex);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
