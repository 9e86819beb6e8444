// The groups of a collection as cards; a click shows the pictures of one.

import { element, onPlainClick } from "../dom.js";
import { counted, nameOf, number, sentence } from "../format.js";
import { addressOf } from "../state.js";

/** @typedef {import("../contract.js").Filter} Filter */

const COLUMN = "cluster_name";

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const found = await /** @type {import("../contract.js").Views} */ (host.views).clusters(state.collection, {
    signal,
  });

  /** A link to the pictures of a group. @param {Filter} filter @param {(Node | string | null)[]} content */
  function card(filter, ...content) {
    const others = state.filters.filter(({ column }) => column !== COLUMN);
    const next = { ...state, view: "explore", filters: [...others, filter], item: "" };
    const link = element("a", { className: "group-card", href: addressOf(next) }, ...content);
    return element(
      "li",
      {},
      onPlainClick(link, () => page.go(next)),
    );
  }

  const cards = found.clusters.map((one) => {
    const pictures = one.items.filter(({ width }) => width).slice(0, 5);
    const images = pictures.map((item, i) =>
      element("img", {
        src: host.thumbnailUrl(state.collection, item),
        alt: i ? "" : `In the middle: ${nameOf(item)}`,
        loading: "lazy",
      }),
    );
    const tight = `cohesion ${one.cohesion.toFixed(2)}`;
    return card(
      { column: COLUMN, op: "is", value: one.name },
      images.length ? element("span", { className: `mosaic of-${images.length}` }, ...images) : null,
      element("strong", { textContent: one.name }),
      element("span", { className: "quiet", textContent: `${counted(one.size, "picture")} · ${tight}` }),
    );
  });
  if (found.noise) {
    cards.push(
      card(
        { column: COLUMN, op: "null", value: null },
        element("strong", { textContent: "In no group" }),
        element("span", { className: "quiet", textContent: counted(found.noise, "picture") }),
      ),
    );
  }
  const about = `${sentence(found.reason)} Cohesion says how similar the pictures of a group are; at 1, all are the same.`;
  return {
    node: element(
      "div",
      {},
      element("p", { className: "quiet about", textContent: about }),
      element("ul", { className: "group-cards", "aria-label": "Groups" }, ...cards),
    ),
    status: `${number(found.clusters.length)} groups of similar pictures`,
  };
}
