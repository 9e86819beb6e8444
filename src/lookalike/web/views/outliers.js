// What doesn't belong: pictures unlike all others, and labels that their neighbours contradict.

import { element, onPlainClick } from "../dom.js";
import { counted, fileOf } from "../format.js";
import { addressOf } from "../state.js";

/** @typedef {import("../contract.js").Card} Card */

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const { farthest, mislabelled, label, labelled, k } = await views.outliers(state.collection, { signal });

  /** A picture that links to its details, with a title and a text.
   * @param {Card} item @param {string} title @param {string} text */
  function figure(item, title, text) {
    const next = { ...state, item: item.id };
    const picture = item.width
      ? element("img", {
          src: host.thumbnailUrl(state.collection, item),
          alt: fileOf(item.id),
          loading: "lazy",
        })
      : element("span", { textContent: fileOf(item.id) });
    const link = element("a", { href: addressOf(next), title: item.id }, picture);
    const caption = element("figcaption", {}, element("strong", { textContent: title }), quiet(text, "span"));
    return element(
      "li",
      {},
      element(
        "figure",
        {},
        onPlainClick(link, () => page.go(next)),
        caption,
      ),
    );
  }

  const wrong = mislabelled.map(({ item, label, suggested, share }) =>
    figure(
      item,
      `${suggested}, not ${label}?`,
      `${Math.round(share * 100)}% of the neighbours are ${suggested}`,
    ),
  );
  const far = farthest.map(({ item, distance }) =>
    figure(item, distance.toFixed(2), item.label ?? fileOf(item.id)),
  );
  const node = element(
    "div",
    {},
    labelled
      ? part(
          "Likely mislabelled",
          wrong.length
            ? "Most of their neighbours share another label, and hardly any share their own. Some labels here are wrong, some pictures are just difficult: look at each."
            : `No picture's ${label} is contradicted by most of its neighbours.`,
          wrong,
        )
      : null,
    part(
      "Unlike all others",
      `Sorted by the mean distance to the ${k} nearest, from 0 (copies) to 2 (opposites). Something is always the farthest.`,
      far,
    ),
  );
  const count = wrong.length ? `, ${counted(wrong.length, "label")} that may be wrong` : "";
  return {
    node,
    status: `The ${counted(far.length, "picture")} farthest from all others${count}`,
  };
}

/** @param {string} title @param {string} text @param {HTMLElement[]} figures */
function part(title, text, figures) {
  return element(
    "section",
    { "aria-label": title },
    element("h2", { textContent: title }),
    quiet(text, "p"),
    figures.length ? element("ul", { className: "strays" }, ...figures) : null,
  );
}

/** @param {string} textContent @param {"p" | "span"} name */
function quiet(textContent, name) {
  return element(name, { className: "quiet", textContent });
}
