// Why a picture was found: shows it next to the query, how similar the two are, and what they share.

import { element } from "../dom.js";
import { nameOf, strengthOf } from "../format.js";

const WORDS = {
  strong: "Likely what was asked for",
  fair: "Perhaps what was asked for",
  weak: "Hardly what was asked for",
};

/**
 * @param {{query: {url: string, name: string}, card: import("../contract.js").Card, url: string,
 *   shared: string[]}} found
 */
export function comparison({ query, card, url, shared }) {
  const strength = strengthOf(card.confidence);
  const score = card.score ?? 0;
  const bar = element(
    "span",
    {
      className: strength ? `meter ${strength}` : "meter",
      role: "img",
      "aria-label": `similarity ${score.toFixed(2)} of 1`,
    },
    element("span"),
  );
  const inside = /** @type {HTMLElement} */ (bar.firstElementChild);
  inside.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
  return element(
    "div",
    { className: "why" },
    element(
      "div",
      { className: "pair" },
      figure(query.url, query.name, "What you searched for"),
      figure(url, nameOf(card), "This picture"),
    ),
    element(
      "p",
      { className: "measure" },
      bar,
      element("span", { className: "score-text", textContent: score.toFixed(2) }),
    ),
    strength && element("p", { className: "quiet", textContent: `${WORDS[strength]}.` }),
    shared.length > 0 && element("p", { className: "quiet", textContent: `In both: ${shared.join(", ")}` }),
  );
}

/** @param {string} url @param {string} name @param {string} caption */
function figure(url, name, caption) {
  const picture = url
    ? element("img", { src: url, alt: name })
    : element("span", { className: "word", textContent: name });
  return element("figure", {}, picture, element("figcaption", { textContent: caption }));
}
