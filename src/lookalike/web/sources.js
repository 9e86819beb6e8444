// The source of the grid's cards: all items, a page at a time, or the hits of a search.

import { toHost } from "./terms.js";

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./contract.js").Host} Host */
/** @typedef {import("./state.js").State} State */

export const PAGE = 100;
/** Nobody looks at more hits than this. */
const MOST_HITS = 1000;
/** How many pages to keep, around those requested last. */
const KEPT = 60;

/**
 * `total` cards in pages of 100, of `compared` items that meet the filters.
 * @typedef {{total: number, compared: number, tookMs: number, chance: boolean,
 *   refined: string, words: import("./contract.js").Meant[],
 *   pages: Map<number, Card[]>, load: (page: number, signal?: AbortSignal) => Promise<void>}} Source
 */

/** The source for a state, with its first page. @param {Host} host @param {State} state
 * @param {AbortSignal} signal @returns {Promise<Source>} */
export async function sourceOf(host, state, signal) {
  const source = state.terms.length ? searchSource(host, state) : itemsSource(host, state);
  await source.load(0, signal);
  return source;
}

/** The card with an index, if it is loaded. @param {Source} source @param {number} index */
export function cardAt(source, index) {
  return source.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
}

/** All cards that are loaded. @param {Source} source */
export function cardsOf(source) {
  return [...source.pages.values()].flat();
}

/** @param {Host} host @param {State} state @returns {Source} */
function itemsSource(host, { collection, filters, where }) {
  /** @type {Source} */
  const source = {
    ...emptySource(),
    async load(page, signal) {
      if (source.pages.has(page)) return;
      const options = { offset: page * PAGE, limit: PAGE, filters, where, signal };
      const { total, items } = await host.items(collection, options);
      source.total = source.compared = total;
      source.pages.set(page, items);
      forget(source.pages, page);
    },
  };
  return source;
}

/** @param {Host} host @param {State} state @returns {Source} */
function searchSource(host, { collection, terms, filters, where }) {
  /** @param {number} k @param {AbortSignal} [signal] */
  const ask = (k, signal) => host.search(collection, { terms: terms.map(toHost), k, filters, where, signal });
  /** @type {Promise<void> | undefined} */
  let rest;

  /** @type {Source} */
  const source = {
    ...emptySource(),
    // The best hits are loaded at once, all others when the user scrolls.
    async load(page, signal) {
      if (source.pages.has(page)) return;
      if (page > 0) return (rest ??= loadRest().finally(() => (rest = undefined)));
      const { hits, matching, left_out, took_ms, chance, words = [], refined = "" } = await ask(PAGE, signal);
      const total = hits.length < PAGE ? hits.length : Math.min(matching - left_out, MOST_HITS);
      Object.assign(source, { total, compared: matching, tookMs: took_ms, chance, words, refined });
      source.pages.set(0, hits);
    },
  };

  async function loadRest() {
    const { hits } = await ask(MOST_HITS);
    source.total = hits.length;
    // The first page is already on the screen, and stays as it is.
    for (let page = 1; page * PAGE < hits.length; page++) {
      source.pages.set(page, hits.slice(page * PAGE, (page + 1) * PAGE));
    }
  }
  return source;
}

/** A source whose pictures never load. @param {number} total @returns {Source} */
export function sourceOfNothing(total) {
  const load = () => new Promise(() => {});
  return { ...emptySource(), total, load };
}

function emptySource() {
  return { total: 0, compared: 0, tookMs: 0, chance: false, words: [], refined: "", pages: new Map() };
}

/** @param {Map<number, Card[]>} pages @param {number} near */
function forget(pages, near) {
  if (pages.size <= KEPT) return;
  // The first page stays: going back to the top is common.
  const others = [...pages.keys()].filter((page) => page > 0);
  const farthest = others.reduce((a, b) => (Math.abs(b - near) > Math.abs(a - near) ? b : a));
  pages.delete(farthest);
}
