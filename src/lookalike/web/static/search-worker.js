// The thread that searches, so that the page never waits for it.

import { Finder } from "./finder.js";
import { answerPage } from "./remote.js";
import { Shelf } from "./shelf.js";

/** @type {Map<string, Shelf>} */
const shelves = new Map();

/** @param {{c: string}} argument */
const shelfOf = ({ c }) => /** @type {Shelf} */ (shelves.get(c));

/** @param {{c: string}} argument */
const finderOf = (argument) => new Finder(shelfOf(argument));

answerPage({
  async open(/** @type {import("./shelf.js").Entry[]} */ entries) {
    for (const entry of entries) {
      const news = (/** @type {number} */ done, /** @type {number} */ total) =>
        postMessage({ news: { done, total } });
      if (!shelves.has(entry.name)) shelves.set(entry.name, new Shelf(entry, news));
    }
  },
  items: (argument) => shelfOf(argument).items(argument),
  item: (argument) => shelfOf(argument).item(argument.id),
  facets: (argument) => shelfOf(argument).facets(argument),
  search: (argument) => finderOf(argument).search(argument),
  words: (argument) => finderOf(argument).words(argument.start),
  prepare: (argument) =>
    shelfOf(argument)
      .vectors()
      .then(() => undefined),
});
