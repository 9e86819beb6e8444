// The pictures, as rows that fill the width. Only those near the view are in the document: a block is a page of
// a source, laid out when its cards are loaded, and estimated before.

import { createBlock, dropBlock, fillBlock } from "./blocks.js";
import { createExtent } from "./extent.js";
import { createFetcher } from "./fetcher.js";
import { estimate, placesOf, SHAPE, shapeOf } from "./layout.js";
import { createScroller } from "./scroller.js";
import { cardAt, cardsOf, PAGE, sourceOfNothing } from "./sources.js";
import { createBlank, createTile, renameTile, tileOf } from "./tile.js";

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./sources.js").Source} Source */
/** @typedef {import("./layout.js").Row} Row */
/** @typedef {import("./blocks.js").Block} Block */
const OVERSCAN_PX = 700;

/**
 * @param {{scroller: HTMLElement, sizer: HTMLElement}} elements
 * @param {{thumbnailUrl: (card: Card) => string, href: (card: Card) => string,
 *   onError: (error: unknown, again: () => void) => void, onLoaded: () => void}} options
 */
export function createGrid({ scroller: node, sizer }, { thumbnailUrl, href, onError, onLoaded }) {
  const scroller = createScroller(node, sizer, () => schedule());
  /** @type {Source | undefined} */
  let source;
  let extent = createExtent(0, () => 0);
  let size = measure();
  let active = 0;
  let mustFocus = false;
  let frame = 0;
  /** @type {Map<number, Block>} */
  const blocks = new Map();
  const fetcher = createFetcher(() => source, { onLoaded: arrived, onError });

  sizer.addEventListener("focusin", (event) => {
    const tile = tileOf(event);
    if (tile) activate(Number(tile.dataset.index));
  });
  new ResizeObserver(() => {
    const now = measure();
    if (now.width === size.width && now.height === size.height) return;
    const place = anchor();
    size = now;
    reset();
    if (place) restore(place);
  }).observe(node);

  function measure() {
    const style = getComputedStyle(node);
    const [gap, height] = [
      parseFloat(style.getPropertyValue("--gap")),
      parseFloat(style.getPropertyValue("--row")),
    ];
    return { width: sizer.clientWidth, gap: gap || 6, height: height || 180 };
  }

  function schedule() {
    frame ||= requestAnimationFrame(render);
  }

  /** Forget the layout, not the cards. */
  function reset() {
    for (const block of [...blocks.keys()]) drop(block);
    if (!source) return;
    const known = cardsOf(source).slice(0, PAGE);
    const mean = known.reduce((sum, card) => sum + shapeOf(card), 0) / known.length || SHAPE;
    const { total } = source;
    const last = Math.ceil(total / PAGE) - 1;
    extent = createExtent(last + 1, (block) =>
      estimate(block < last ? PAGE : total - last * PAGE, mean, size),
    );
    scroller.setHeight(extent.total());
    schedule();
  }

  /** Lay out the block of a page that has been loaded. @param {number} page */
  function arrived(page) {
    if (source && Math.ceil(source.total / PAGE) !== extent.count) return restore(anchor(), true);
    drop(page);
    schedule();
    onLoaded();
  }

  /** Lay out a block; what is in view stays in place. @param {number} index @returns {Block} */
  function open(index) {
    const known = blocks.get(index);
    if (known) return known;
    const cards = source?.pages.get(index);
    const isLast = index === extent.count - 1;
    const count = isLast && source ? source.total - index * PAGE : PAGE;
    const block = createBlock(cards, count, { ...size, ragged: isLast });
    if (cards) settle(index, block.rows);
    blocks.set(index, block);
    const after = [...blocks.keys()].filter((other) => other > index).sort((a, b) => a - b)[0];
    sizer.insertBefore(block.node, blocks.get(after)?.node ?? null);
    return block;
  }

  /** Correct the height of a block. @param {number} index @param {Row[]} rows */
  function settle(index, rows) {
    const last = rows.at(-1);
    const above = extent.top(index) + extent.height(index) <= scroller.y() + 1;
    const grown = extent.set(index, last ? last.top + last.height + size.gap : 0);
    if (!grown) return;
    scroller.setHeight(extent.total());
    if (above) scroller.shift(grown);
  }

  /** @param {number} index */
  function drop(index) {
    const block = blocks.get(index);
    if (!block) return;
    mustFocus ||= block.node.contains(document.activeElement);
    dropBlock(block);
    blocks.delete(index);
  }

  function render() {
    frame = 0;
    if (!source || !extent.count) return;
    const [low, high] = [scroller.y() - OVERSCAN_PX, scroller.y() + scroller.view() + OVERSCAN_PX];
    const first = extent.at(low);
    let last = first;
    for (; last < extent.count && extent.top(last) < high; last++) open(last);
    const kept = hasFocus() ? Math.floor(active / PAGE) : -1;
    for (const index of [...blocks.keys()]) {
      if ((index < first || index >= last) && index !== kept) drop(index);
    }
    for (const [index, block] of blocks) fill(index, block, low, high);
    fetcher.want(first, last - 1);
    focusActive();
  }

  /** Give a block the tiles between two heights, and the one that may have the focus.
   * @param {number} index @param {Block} block @param {number} low @param {number} high */
  function fill(index, block, low, high) {
    const top = extent.top(index);
    const at = active - index * PAGE;
    block.node.style.transform = `translateY(${scroller.place(top)}px)`;
    fillBlock(block, size.gap, {
      isWanted: (row) =>
        (top + row.top + row.height > low && top + row.top < high) || (at >= row.first && at < row.end),
      make: (i, row, place) => make(index * PAGE + i, block.cards?.[i], row, place),
    });
  }

  /** @param {number} index @param {Card | undefined} card @param {Row} row
   * @param {{left: number, width: number}} place */
  function make(index, card, row, { left, width }) {
    const total = source?.total ?? 0;
    const tile = card
      ? createTile(card, { url: thumbnailUrl(card), href: href(card), index, total })
      : createBlank();
    const style = { left, top: row.top, width, height: row.height };
    for (const [name, value] of Object.entries(style)) tile.style.setProperty(name, `${value.toFixed(2)}px`);
    if (card && index === active) linkOf(tile).tabIndex = 0;
    return tile;
  }

  function hasFocus() {
    return sizer.contains(document.activeElement);
  }

  /** The tile with an index, if it is in the document. @param {number} index */
  function tileAt(index) {
    return blocks.get(Math.floor(index / PAGE))?.tiles.get(index % PAGE);
  }

  /** Make another tile the one that the Tab key reaches. @param {number} index */
  function activate(index) {
    const before = tileAt(active)?.querySelector("a");
    if (before) before.tabIndex = -1;
    active = index;
    const tile = tileAt(index);
    if (tile?.dataset.id) linkOf(tile).tabIndex = 0;
  }

  function focusActive() {
    const tile = tileAt(active);
    if (!mustFocus || !tile?.dataset.id) return;
    mustFocus = false;
    linkOf(tile).focus({ preventScroll: true });
  }

  /** The distance of a tile from the top of all pictures. @param {number} index */
  function placeOf(index) {
    const block = open(Math.floor(index / PAGE));
    const row = block.rows.find(({ end }) => end > index % PAGE) ?? { first: 0, end: 0, top: 0, height: 0 };
    return { block, row, top: extent.top(Math.floor(index / PAGE)) + row.top };
  }

  /** Focus the tile with an index, scrolling only as far as needed. @param {number} index */
  function focus(index) {
    if (!source?.total) return node.focus({ preventScroll: true });
    activate(Math.min(source.total - 1, Math.max(0, index)));
    const { row, top } = placeOf(active);
    const margin = 12;
    if (top - margin < scroller.y()) scroller.scrollTo(top > 0 ? top - margin : -Infinity);
    const bottom = top + row.height + margin;
    if (bottom > scroller.y() + scroller.view()) scroller.scrollTo(bottom - scroller.view());
    mustFocus = true;
    render();
  }

  /** The tile above or below the middle of another. @param {number} index @param {1 | -1} step */
  function beside(index, step) {
    const { block, row } = placeOf(index);
    const places = placesOf(block.shapes, row, size.gap);
    const here = places[(index % PAGE) - row.first];
    const target = step > 0 ? index - (index % PAGE) + row.end : index - (index % PAGE) + row.first - 1;
    if (!source || target < 0 || target >= source.total) return index;
    const other = placeOf(target);
    const middle = here.left + here.width / 2;
    const distances = placesOf(other.block.shapes, other.row, size.gap).map(({ left, width }) =>
      Math.abs(left + width / 2 - middle),
    );
    return target - (target % PAGE) + other.row.first + distances.indexOf(Math.min(...distances));
  }

  /** The tile at the top of the view, to find it again in another layout. */
  function anchor() {
    if (!extent.count) return null;
    const index = extent.at(scroller.y());
    const within = scroller.y() - extent.top(index);
    const row = blocks.get(index)?.rows.find((one) => one.top + one.height > within);
    if (!row || scroller.y() <= 0) return { index: index * PAGE, offset: within };
    return { index: index * PAGE + row.first, offset: within - row.top };
  }

  /** @param {{index: number, offset: number} | null} place @param {boolean} [anew] lay out again first */
  function restore(place, anew = false) {
    if (anew) reset();
    const { index, offset } = place ?? { index: 0, offset: -Infinity };
    if (extent.count) scroller.scrollTo(placeOf(Math.min(index, (source?.total ?? 1) - 1)).top + offset);
    render();
  }

  /** Show a source, from the top or from a place in it. @param {Source} next
   * @param {{index: number, offset: number} | null} [place] */
  function show(next, place = null) {
    fetcher.stop();
    mustFocus = false;
    source = next;
    active = 0;
    reset();
    restore(place);
  }

  return {
    show,
    anchor,
    focus,
    hasFocus,
    /** Move the focus by a key; returns whether the grid handles that key. @param {string} key */
    move(key) {
      if (!source?.total) return false;
      // Keys start from what is in view, not from what had the focus before scrolling away.
      if (!hasFocus()) active = anchor()?.index ?? 0;
      const rows = Math.max(1, Math.floor(scroller.view() / (size.height + size.gap)));
      /** @param {1 | -1} step @param {number} times */
      const far = (step, times) =>
        Array.from({ length: times }).reduce((at) => beside(Number(at), step), active);
      const target = {
        ArrowRight: () => active + 1,
        ArrowLeft: () => active - 1,
        Home: () => 0,
        End: () => (source?.total ?? 1) - 1,
        ArrowDown: () => beside(active, 1),
        ArrowUp: () => beside(active, -1),
        PageDown: () => far(1, rows),
        PageUp: () => far(-1, rows),
      }[key];
      if (target) focus(Number(target()));
      return Boolean(target);
    },
    /** Whether a tile is in view or close to it; false for -1. @param {number} index */
    isNear: (index) => index >= 0 && Math.abs(placeOf(index).top - scroller.y()) < 2 * scroller.view(),
    /** The index of an item among the loaded ones, or -1. @param {string} id */
    indexOf(id) {
      for (const [page, cards] of source?.pages ?? []) {
        const at = cards.findIndex((card) => card.id === id);
        if (at >= 0) return page * PAGE + at;
      }
      return -1;
    },
    /** @param {number} index */
    cardAt: (index) => source && cardAt(source, index),
    /** Show another label of an item. @param {string} id @param {string | null} label */
    relabel(id, label) {
      for (const card of source ? cardsOf(source) : []) if (card.id === id) card.label = label;
      for (const tile of sizer.querySelectorAll(`[data-id="${CSS.escape(id)}"]`)) {
        const card = source && cardAt(source, Number(/** @type {HTMLElement} */ (tile).dataset.index));
        if (card) renameTile(/** @type {HTMLElement} */ (tile), card);
      }
    },
    active: () => active,
    total: () => source?.total ?? 0,
    isBlank: () => !source?.pages.size,
    /** Show that pictures are loading. */
    blank: () => show(sourceOfNothing(PAGE / 2)),
    /** Show nothing. */
    clear: () => show(sourceOfNothing(0)),
  };
}

/** @param {HTMLElement} tile */
function linkOf(tile) {
  return /** @type {HTMLAnchorElement} */ (tile.querySelector("a"));
}
