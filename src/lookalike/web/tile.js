// One picture in the grid: a link to similar pictures, with buttons for everything else.

import { element, icon, isPlain } from "./dom.js";
import { fileOf, nameOf, strengthOf } from "./format.js";

/** @typedef {import("./contract.js").Card} Card */

const STRENGTHS = { strong: "similar", fair: "somewhat similar", weak: "hardly similar" };

/** Small buttons on a tile: [action, drawing, label]. @type {["add" | "subtract" | "details",
 *   "plus" | "minus" | "info", string][]} */
const TOOLS = [
  ["add", "plus", "More like this too"],
  ["subtract", "minus", "Less like this"],
  ["details", "info", "Details"],
];

/**
 * @param {Card} card
 * @param {{url: string, href: string, index: number, total: number}} options
 */
export function createTile(card, { url, href, index, total }) {
  const strength = strengthOf(card.confidence);
  const image = element("img", { alt: altOf(card, strength), decoding: "async", draggable: true });
  const content = card.width
    ? image
    : element("span", { className: "instead", textContent: altOf(card, null) });
  const link = element("a", { className: "picture", href, tabIndex: -1 }, content);
  const tile = element(
    "div",
    {
      className: ["tile", strength, !card.width && "bare"].filter(Boolean).join(" "),
      role: "listitem",
      "aria-posinset": index + 1,
      "aria-setsize": total,
    },
    link,
    createCaption(card),
    createTools(card),
  );
  tile.dataset.index = String(index);
  tile.dataset.id = card.id;
  if (card.score !== undefined) tile.append(createScore(card.score, strength));

  if (!card.width) return tile;
  image.onload = () => tile.classList.add("ready");
  image.onerror = () => tile.classList.add("broken");
  image.src = url;
  if (image.complete && image.naturalWidth) tile.classList.add("ready", "at-once");
  return tile;
}

/** A tile whose card is still loading. */
export function createBlank() {
  return element("div", { className: "tile blank", "aria-hidden": "true" });
}

/** The tile of an event, unless its card is still loading. @param {Event} event */
export function tileOf(event) {
  return /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".tile[data-id]"));
}

/**
 * Call back with the id of the tile that the user acts on.
 * @param {HTMLElement} place the container of the tiles
 * @param {Record<"open" | "details" | "add" | "subtract", (id: string) => void>} acts
 */
export function onTileAction(place, acts) {
  place.addEventListener("click", (event) => {
    const tile = tileOf(event);
    const button = /** @type {HTMLElement | null} */ (
      /** @type {Element} */ (event.target).closest("button")
    );
    if (!tile || !isPlain(event)) return;
    event.preventDefault();
    const action = /** @type {keyof typeof acts} */ (button?.dataset.action ?? "open");
    acts[action](String(tile.dataset.id));
  });
}

/** Stop loading the picture of a tile that has left the view. @param {HTMLElement} tile */
export function dropTile(tile) {
  const image = tile.querySelector("img");
  if (image && !image.complete) {
    image.onerror = null;
    image.removeAttribute("src");
  }
  tile.remove();
}

/** @param {Card} card @param {keyof typeof STRENGTHS | null} strength */
function altOf(card, strength) {
  const file = fileOf(card.id);
  const name = card.label ? `${card.label}, ${file}` : file;
  return strength ? `${name}, ${STRENGTHS[strength]}` : name;
}

/** Show the label that a tile's item has now. @param {HTMLElement} tile @param {Card} card */
export function renameTile(tile, card) {
  const [image, caption] = [tile.querySelector("img"), tile.querySelector(".caption")];
  if (image) image.alt = altOf(card, strengthOf(card.confidence));
  if (caption) caption.textContent = nameOf(card);
}

/** @param {Card} card */
function createCaption(card) {
  // The picture's alternative text says the same.
  return element("span", { className: "caption", "aria-hidden": "true", textContent: nameOf(card) });
}

/** @param {Card} card */
function createTools(card) {
  const buttons = TOOLS.map(([action, drawing, label]) => {
    const named = `${label}: ${nameOf(card)}`;
    const button = element("button", { type: "button", tabIndex: -1, title: label, "aria-label": named });
    button.dataset.action = action;
    button.append(icon(drawing));
    return button;
  });
  return element("span", { className: "tools" }, ...buttons);
}

/** @param {number} score @param {keyof typeof STRENGTHS | null} strength */
function createScore(score, strength) {
  const text = strength
    ? `${STRENGTHS[strength]}; similarity ${score.toFixed(4)}`
    : `similarity ${score.toFixed(4)}`;
  return element("span", { className: "score", title: text, textContent: score.toFixed(2) });
}
