// The picture and the name of a term of the query.

import { cardOf, tagsOf } from "./facts.js";
import { fileOf, nameOf } from "./format.js";
import { ownOf, previewUrl } from "./pictures.js";

/** @typedef {import("./terms.js").Term} Term */
/** @typedef {import("./contract.js").Card} Card */

/** @param {import("./contract.js").Host} host @param {() => string} collection the name of the one shown */
export function createPortraits(host, collection) {
  /** Cards of what was searched by. @type {Map<string, Card>} */
  const cards = new Map();

  /** @param {Term} term */
  function pictureOf(term) {
    if (term.kind === "id") {
      const card = cards.get(term.id);
      return card && !card.width ? "" : host.thumbnailUrl(collection(), card ?? { id: term.id, v: "" });
    }
    return term.kind === "picture" && term.preview ? previewUrl(term.preview) : "";
  }

  /** @param {Term} term */
  function nameOfTerm(term) {
    if (term.kind === "text") return term.text;
    if (term.kind === "picture") return term.name || "Your picture";
    const card = cards.get(term.id);
    return card ? nameOf(card) : fileOf(term.id);
  }

  return {
    pictureOf,
    nameOf: nameOfTerm,
    /** Remember an item's picture and name. @param {Card | undefined} card */
    learn: (card) => card && cards.set(card.id, card),
    /** Load the unknown items of a query, which are not among its hits.
     * @param {string} place @param {Term[]} terms @param {AbortSignal} signal */
    async find(place, terms, signal) {
      const unknown = terms.flatMap((term) => (term.kind === "id" && !cards.has(term.id) ? [term.id] : []));
      const rows = await Promise.allSettled(unknown.map((id) => host.item(place, id, { signal })));
      for (const one of rows) if (one.status === "fulfilled") cards.set(one.value.id, cardOf(one.value));
    },
    /** @param {string} id */
    cardOf: (id) => cards.get(id),
    /** Whether a term has more to show than its chip. @param {Term} term */
    hasDetails: (term) => term.kind === "id" || (term.kind === "picture" && Boolean(ownOf(term.vector))),
    /** A large picture, a name and the tags of a term. @param {Term} term */
    large(term) {
      const own = term.kind === "picture" ? ownOf(term.vector) : undefined;
      const place = collection();
      const tags = async () =>
        term.kind === "id" ? tagsOf(await host.item(place, term.id)) : (own?.tags ?? []);
      return { url: own?.url ?? pictureOf(term), name: nameOfTerm(term), tags };
    },
  };
}
