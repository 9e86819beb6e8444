// What a picture may be, by the labelled pictures, in words, with the neighbours that say so.

import { element, onPlainClick } from "../dom.js";
import { counted, fileOf } from "../format.js";

/** @typedef {import("../contract.js").Verdict} Verdict */
/** @typedef {import("../contract.js").Card} Card */
/** How to show a neighbour: its picture, its address, and what a click does.
 * @typedef {{thumbnailUrl: (card: Card) => string, hrefTo: (id: string) => string,
 *   onOpen: (id: string) => void}} Showing */

/** @param {Verdict} verdict @param {Showing} showing */
export function verdictOf(verdict, showing) {
  const [first] = verdict.likely;
  const near = verdict.neighbours.map((card) => neighbour(card, showing));
  const about = `${counted(near.length, "picture")} labelled ${first?.label} that look most like it`;
  return element(
    "div",
    { className: "verdict" },
    element("p", {}, ...sentenceOf(verdict)),
    near.length > 0 && element("div", { className: "witnesses", role: "group", "aria-label": about }, ...near),
  );
}

/** @param {Verdict} verdict @returns {(Node | string)[]} */
function sentenceOf({ label, probability, reason, likely, same, knows_strangers }) {
  if (same?.label) return ["The same picture is here, labelled ", strong(same.label)];
  if (label !== null && !knows_strangers) {
    return ["Of what is labelled here, most like ", strong(label), `, ${percent(probability)} sure`];
  }
  if (label !== null) return ["Looks like ", strong(label), `, ${percent(probability)} sure`];
  const [first, second] = likely;
  if (reason === "strange") {
    return [strong("Unknown"), `: unlike all that is labelled here. The nearest is ${first.label}`];
  }
  const other = second ? ` or ${second.label} (${percent(second.probability)})` : "";
  return [strong("Not sure"), `: perhaps ${first.label} (${percent(first.probability)})${other}`];
}

/** @param {Card} card @param {Showing} showing */
function neighbour(card, { thumbnailUrl, hrefTo, onOpen }) {
  const name = card.label ? `${card.label}, ${fileOf(card.id)}` : fileOf(card.id);
  const picture = card.width
    ? element("img", { src: thumbnailUrl(card), alt: name })
    : element("span", { className: "unseen", textContent: name });
  const link = element("a", { href: hrefTo(card.id), title: fileOf(card.id) }, picture);
  return onPlainClick(link, () => onOpen(card.id));
}

/** A probability is never shown as certain. @param {number} probability */
export function percent(probability) {
  return `${Math.min(99, Math.round(probability * 100))}%`;
}

/** @param {string} text */
const strong = (text) => element("strong", { textContent: text });
