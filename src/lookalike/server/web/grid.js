// Shows items as rows of pictures. Each is a link to what looks like it.

import { element } from "./messages.js";
import { addressOf } from "./state.js";

/** @typedef {import("./host.js").Item} Item */

// Panoramas and strips are cut to these, width by height, so that a row keeps its height.
const NARROWEST = 0.5;
const WIDEST = 2.6;
const BLANKS = 40;

/**
 * @param {HTMLElement} grid
 * @param {{thumbnailUrl: (item: Item) => string, onOpen: (id: string) => void}} options
 */
export function createGrid(grid, { thumbnailUrl, onOpen }) {
  /**
   * Tiles live as long as their items, so that going back shows loaded pictures.
   * @type {WeakMap<Item, HTMLElement>}
   */
  const tiles = new WeakMap();

  /** @param {Item} item */
  function tileOf(item) {
    const tile = tiles.get(item) ?? createTile(item, thumbnailUrl(item));
    tiles.set(item, tile);
    return tile;
  }

  grid.addEventListener("click", (event) => {
    const tile = /** @type {Element} */ (event.target).closest("a");
    if (!tile || !isPlainClick(event)) return;
    event.preventDefault();
    onOpen(/** @type {string} */ (tile.dataset.id));
  });
  grid.addEventListener("keydown", (event) => {
    const target = neighbour(grid, /** @type {HTMLElement} */ (document.activeElement), event.key);
    if (!target || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    target.focus();
  });

  return {
    /** Show these items and no others. @param {Item[]} items */
    set: (items) => grid.replaceChildren(...items.map(tileOf)),
    /** Show more items below. @param {Item[]} items */
    append: (items) => grid.append(...items.map(tileOf)),
    /** Show that pictures are on their way. */
    await: () => grid.replaceChildren(...Array.from({ length: BLANKS }, createBlank)),
    isEmpty: () => !grid.querySelector("a"),
    hasFocus: () => grid.contains(document.activeElement),
    /** Move the focus to the tile of an item, or to the first. @param {string=} id */
    focus(id) {
      const wanted = id && grid.querySelector(`[data-id="${CSS.escape(id)}"]`);
      const tile = /** @type {HTMLElement | null} */ (wanted || grid.querySelector("a"));
      (tile ?? grid).focus({ preventScroll: true });
    },
  };
}

/** Whether a click asks for nothing special, such as a new tab. @param {MouseEvent} event */
export function isPlainClick(event) {
  return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}

/** What to call an item in one line. @param {{id?: string, label?: string | null}} item */
export function nameOf(item) {
  return item.label ?? (item.id ?? "").split("/").pop() ?? "";
}

/** @param {Item} item @param {string} url */
function createTile(item, url) {
  const tile = element("a", { className: "tile", href: addressOf({ kind: "item", id: item.id }) });
  tile.dataset.id = item.id;
  const shape = Math.min(WIDEST, Math.max(NARROWEST, item.width / item.height));
  tile.style.setProperty("--shape", shape.toFixed(4));

  const file = item.id.split("/").pop();
  const image = element("img", {
    alt: item.label ? `${item.label}, ${file}` : file,
    loading: "lazy",
    decoding: "async",
  });
  image.onload = () => tile.classList.add("ready");
  image.onerror = () => tile.classList.add("broken");
  image.src = url;

  const caption = element("span", { className: "caption", textContent: nameOf(item) });
  caption.ariaHidden = "true"; // the picture's text says it too
  tile.append(image, caption);
  if (item.score !== undefined) {
    const score = element("span", { className: "score", textContent: item.score.toFixed(2) });
    score.title = `similarity ${item.score.toFixed(4)}`;
    tile.append(score);
  }
  return tile;
}

function createBlank() {
  return element("span", { className: "tile blank" });
}

/**
 * The tile that a key leads to from another.
 * @param {HTMLElement} grid @param {HTMLElement} from @param {string} key
 * @returns {HTMLElement | undefined}
 */
function neighbour(grid, from, key) {
  const all = /** @type {HTMLElement[]} */ ([...grid.querySelectorAll("a")]);
  const at = all.indexOf(from);
  if (at < 0) return undefined;
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;

  const step = key === "ArrowDown" ? 1 : -1;
  let other = at;
  while (all[other]?.offsetTop === from.offsetTop) other += step;
  const row = all[other]?.offsetTop;
  const middle = (/** @type {HTMLElement} */ tile) => tile.offsetLeft + tile.offsetWidth / 2;
  const distance = (/** @type {HTMLElement} */ tile) => Math.abs(middle(tile) - middle(from));
  let best = all[other];
  for (; all[other] && all[other].offsetTop === row; other += step) {
    if (distance(all[other]) < distance(best)) best = all[other];
  }
  return best;
}
