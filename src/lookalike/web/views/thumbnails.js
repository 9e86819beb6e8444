// The pictures on the map: loaded when they come into view, one request at a time, for whatever is in view then.

import { element } from "../dom.js";

/** @typedef {import("../contract.js").Card} Card */

/** How many pictures to keep: a map may have a million, but shows fewer than this at once. */
const MOST_KEPT = 1000;

/**
 * @param {{load: (rows: number[]) => Promise<Card[]>, url: (card: Card) => string, onLoaded: () => void,
 *   onError: (error: unknown) => void}} options `load` returns the cards of items by their numbers
 */
export function createThumbnails({ load, url, onLoaded, onError }) {
  /** Those that were seen last stand last. @type {Map<number, {card: Card, image: HTMLImageElement | null}>} */
  const known = new Map();
  /** @type {number[]} */
  let wanted = [];
  let isBusy = false;

  /** @param {number[]} rows @returns {Promise<Card[]>} */
  async function learn(rows) {
    const cards = await load(rows);
    rows.forEach((row, i) => {
      const image = cards[i].width ? element("img", { onload: onLoaded, src: url(cards[i]) }) : null;
      known.set(row, { card: cards[i], image });
    });
    for (const row of [...known.keys()].slice(0, -MOST_KEPT)) known.delete(row);
    return cards;
  }

  async function loadAll() {
    isBusy = true;
    try {
      while (wanted.length) await learn(wanted.splice(0));
    } catch (error) {
      onError(error);
    } finally {
      isBusy = false;
    }
  }

  return {
    /** Set the items that are in view. @param {number[]} rows */
    want(rows) {
      wanted = rows.filter((row) => !known.has(row));
      for (const row of rows) {
        const one = known.get(row);
        if (one && known.delete(row)) known.set(row, one);
      }
      if (!isBusy && wanted.length) loadAll();
    },
    /** The picture of an item, if it is loaded. @param {number} row */
    imageOf(row) {
      const image = known.get(row)?.image;
      return image?.complete && image.naturalWidth ? image : null;
    },
    /** @param {number} row @returns {Promise<Card>} */
    cardOf: async (row) => known.get(row)?.card ?? (await learn([row]))[0],
  };
}
