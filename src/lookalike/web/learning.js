// What people teach a collection, and what it has learned of their labels: loaded when it is first needed.

import { find } from "./dom.js";

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./contract.js").Collection} Collection */
/** @typedef {import("./contract.js").Host} Host */
/** @typedef {import("./state.js").State} State */
/** What it needs of the page; `changed` loads anew what may show labels and words.
 * @typedef {{shown: () => State, go: (state: State, how?: {anew?: boolean}) => Promise<void>,
 *   collectionOf: (name: string) => Collection | undefined, relabel: (id: string, label: string | null) => void,
 *   hrefTo: (id: string) => string, over: (text: string, action: import("./messages.js").Action) => void,
 *   fail: (error: unknown, again: () => void) => void, changed: () => Promise<void>}} Page */

/** Fewer labelled pictures prove nothing. */
const LEAST = 10;

/** @param {Host} host @param {Page} page */
export function createLearning(host, page) {
  const [teach, identity] = [find("teach"), find("identity")];
  let turn = new AbortController();
  let identified = "";
  find("can-teach").hidden = !host.marks;

  teach.addEventListener("click", async () => {
    const { openLesson } = await import("./learning/lesson.js");
    openLesson(host, page, teach);
  });

  /** @param {string} collection */
  const canMark = (collection) => host.capabilities(collection).marks ?? false;

  /** Whether labelled pictures can say what others are: at least ten share a label with another.
   * @param {string} collection */
  function canIdentify(collection) {
    const counts = Object.values(page.collectionOf(collection)?.labels ?? {}).filter((count) => count > 1);
    return Boolean(host.identify) && counts.reduce((sum, count) => sum + count, 0) >= LEAST;
  }

  /** How neighbours are shown. @param {string} collection */
  function showing(collection) {
    return {
      thumbnailUrl: (/** @type {Card} */ card) => host.thumbnailUrl(collection, card),
      hrefTo: page.hrefTo,
      onOpen: (/** @type {string} */ id) => void page.go({ ...page.shown(), item: id }),
    };
  }

  /** Say what the picture of a query is, if the query is nothing else. @param {State} state */
  function identify({ collection, terms: [term, other], view }) {
    const isAsked = term?.kind === "picture" && term.weight > 0 && !other && view === "explore";
    const vector = isAsked && canIdentify(collection) ? term.vector : "";
    const key = vector && `${collection} ${vector}`;
    if (key === identified) return;
    turn.abort();
    turn = new AbortController();
    const { signal } = turn;
    identified = key;
    identity.hidden = !key;
    identity.replaceChildren();
    if (!key) return;
    import("./learning/identity.js")
      .then(({ showIdentity }) =>
        showIdentity(host, identity, collection, vector, showing(collection), signal),
      )
      .catch(() => signal.aborted || (identity.hidden = true)); // the hits are there without it
  }

  return {
    /** @param {State} state */
    show(state) {
      identify(state);
      // A click on one picture is no lesson: it takes another thing to search for.
      const isLesson =
        state.terms.length > 1 && state.terms.some(({ kind, weight }) => kind === "id" && weight > 0);
      teach.hidden = !isLesson || state.view !== "explore" || !canMark(state.collection);
    },
    /** Whether there is something to say or to do about the label of an item.
     * @param {string} collection @param {Record<string, any>} row */
    hasLabel: (collection, { label }) => canMark(collection) || (!label && canIdentify(collection)),
    /** @param {HTMLElement} place @param {string} collection @param {Record<string, any>} row */
    async showLabel(place, collection, row) {
      const { showLabel } = await import("./learning/label.js");
      const can = { canMark: canMark(collection), canIdentify: canIdentify(collection) };
      await showLabel(host, page, place, { collection, row, ...can, showing: showing(collection) });
    },
    /** @param {string} word @param {string} text what was searched for by it */
    async forget(word, text) {
      const { forget } = await import("./learning/lesson.js");
      await forget(host, page, word, text);
    },
  };
}
