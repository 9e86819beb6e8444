// A block of the grid: a page of a source, laid out in rows, with the tiles of the rows near the view.

import { element } from "./dom.js";
import { justify, placesOf, SHAPE, shapeOf } from "./layout.js";
import { dropTile } from "./tile.js";

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./layout.js").Row} Row */
/** @typedef {{left: number, width: number}} Place */
/**
 * `cards` are undefined until they are loaded; `tiles` are those in the document, by their place in the page.
 * @typedef {{node: HTMLElement, cards: Card[] | undefined, shapes: number[], rows: Row[],
 *   tiles: Map<number, HTMLElement>}} Block
 */

/** @param {Card[] | undefined} cards @param {number} count of the cards, if they are not loaded
 * @param {Parameters<typeof justify>[1]} options @returns {Block} */
export function createBlock(cards, count, options) {
  const shapes = cards ? cards.map(shapeOf) : Array.from({ length: count }, () => SHAPE);
  const node = element("div", { className: "block" });
  return { node, cards, shapes, rows: justify(shapes, options), tiles: new Map() };
}

/**
 * Give a block exactly the tiles of the wanted rows, in order.
 * @param {Block} block @param {number} gap in pixels
 * @param {{isWanted: (row: Row) => boolean,
 *   make: (i: number, row: Row, place: Place) => HTMLElement}} options
 */
export function fillBlock({ node, shapes, rows, tiles }, gap, { isWanted, make }) {
  /** @type {Map<number, [Row, Place]>} */
  const wanted = new Map();
  for (const row of rows.filter(isWanted)) {
    placesOf(shapes, row, gap).forEach((place, i) => wanted.set(row.first + i, [row, place]));
  }
  for (const [i, tile] of tiles) {
    if (wanted.has(i)) continue;
    dropTile(tile);
    tiles.delete(i);
  }
  let next = node.firstElementChild;
  for (const [i, [row, place]] of wanted) {
    const tile = tiles.get(i) ?? make(i, row, place);
    tiles.set(i, tile);
    if (tile === next) next = next.nextElementSibling;
    else node.insertBefore(tile, next);
  }
}

/** @param {Block} block */
export function dropBlock({ node, tiles }) {
  for (const tile of tiles.values()) dropTile(tile);
  node.remove();
}
