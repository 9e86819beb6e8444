// The same search in two collections, side by side, such as two models of the same pictures.

import { element, onPlainClick } from "../dom.js";
import { HostError } from "../contract.js";
import { counted, milliseconds, nameOf, sentence } from "../format.js";
import { embedded, ownOf } from "../pictures.js";
import { addressOf } from "../state.js";
import { toHost } from "../terms.js";

/** @typedef {import("../contract.js").Card} Card */
/** @typedef {import("../terms.js").Term} Term */

const HITS = 30;

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const all = page.collections();
  const beside = all.find(({ name }) => name === state.beside) ?? otherOf(all, state.collection);
  const names = [state.collection, beside.name];
  const results = await Promise.all(names.map((name) => resultOf(name).catch(whatWentWrong)));
  signal.throwIfAborted();
  const [one, other] = results.map(({ cards }) => new Set(cards.map(({ id }) => id)));
  const both = [...one].filter((id) => other.has(id)).length;

  /** @param {string} name @returns {Promise<{cards: Card[], text: string}>} */
  async function resultOf(name) {
    const { filters, where, terms } = state;
    if (!terms.length) {
      const { items } = await host.items(name, { offset: 0, limit: HITS, filters, where, signal });
      return { cards: items, text: "Choose a picture" };
    }
    if (!host.capabilities(name).words && terms.some(({ kind }) => kind === "text")) {
      throw new HostError("no-words", "This model does not know words", "Search by a picture.");
    }
    const own = await Promise.all(terms.map((term) => (isForeign(name) ? embeddedAnew(name, term) : term)));
    const found = await host.search(name, { terms: own.map(toHost), k: HITS, filters, where, signal });
    const doubt = found.chance ? ", but possibly by chance" : "";
    const text = `of ${counted(found.matching, "picture")}, in ${milliseconds(found.took_ms)}${doubt}`;
    return { cards: found.hits, text };
  }

  /** Whether this collection has a different model from the one that is shown. @param {string} name */
  function isForeign(name) {
    const [model, own] = [name, state.collection].map((one) => all.find((c) => c.name === one)?.model);
    return model !== own;
  }

  /** Convert a term for the model of another collection. @param {string} name @param {Term} term
   * @returns {Promise<Term>} */
  async function embeddedAnew(name, term) {
    if (term.kind !== "picture") return term;
    const own = ownOf(term.vector);
    if (own) return { ...term, vector: await embedded(host, name, own.blob, own.name, signal) };
    const detail = "The address holds your picture only for the first model. Choose the picture again.";
    throw new HostError("other-model", "Another model made this collection", detail);
  }

  /** @param {number} n */
  function column(n) {
    const { cards, text } = results[n];
    const about = all.find(({ name }) => name === names[n]);
    const title = element("h2", {}, n ? choice() : element("span", { textContent: names[n] }));
    const line = element("p", { className: "quiet", textContent: `${about?.model ?? ""} · ${text}` });
    const tiles = cards.map((card) => tile(names[n], card, (n ? one : other).has(card.id)));
    const list = element("ol", { className: "hits", "aria-label": `Found in ${names[n]}` }, ...tiles);
    return element("section", { className: "column", "aria-label": names[n] }, title, line, list);
  }

  /** @param {string} name @param {Card} card @param {boolean} isInBoth */
  function tile(name, card, isInBoth) {
    const next = {
      ...state,
      terms: [{ kind: /** @type {const} */ ("id"), id: card.id, weight: 1 }],
      item: "",
    };
    const content = card.width
      ? element("img", { src: host.thumbnailUrl(name, card), alt: nameOf(card), loading: "lazy" })
      : element("span", { textContent: nameOf(card) });
    const score =
      card.score === undefined
        ? null
        : element("span", { className: "score", textContent: card.score.toFixed(2) });
    const link = element("a", { href: addressOf(next), title: nameOf(card) }, content, score);
    const className = state.terms.length && !isInBoth ? "alone" : "";
    return element(
      "li",
      { className },
      onPlainClick(link, () => page.go(next)),
    );
  }

  function choice() {
    const others = all.filter(({ name }) => name !== state.collection);
    const made = element(
      "select",
      { className: "collection", "aria-label": "Compare with" },
      ...others.map(({ name, model }) => element("option", { value: name, textContent: `${name} · ${model}` })),
    );
    made.value = beside.name;
    made.addEventListener("change", () => page.go({ ...state, beside: made.value, item: "" }));
    return made;
  }

  const status = state.terms.length
    ? `${both} of ${Math.max(one.size, other.size)} were found in both; a dot marks the others`
    : "Choose a picture to search for it in both collections";
  return { node: element("div", { className: "columns" }, column(0), column(1)), status };

  /** If one side fails, the other is still shown. @param {unknown} error */
  function whatWentWrong(error) {
    if (!(error instanceof HostError)) throw error;
    return { cards: /** @type {Card[]} */ ([]), text: `${sentence(error.title)} ${sentence(error.detail)}` };
  }
}

/** Another collection, preferably of the same pictures by another model.
 * @param {import("../contract.js").Collection[]} all @param {string} name */
function otherOf(all, name) {
  const own = all.find((one) => one.name === name);
  const others = all.filter((one) => one.name !== name);
  if (!others.length)
    throw new HostError(
      "no-view",
      "There is nothing to compare with",
      "Serve two collections: lookalike serve A B",
    );
  return others.find(({ count, model }) => count === own?.count && model !== own?.model) ?? others[0];
}
