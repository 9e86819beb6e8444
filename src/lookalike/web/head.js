// The top of the page: the collection, the view, the filters, and the line above the pictures.

import { element, exchange, find, iconButton } from "./dom.js";
import { describe, toggle } from "./filters.js";
import { counted, milliseconds, number } from "./format.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./contract.js").Collection} Collection */

/** All views of the page, in order; those that a collection has are shown. */
const VIEWS = [
  { name: "explore", title: "Explore" },
  { name: "clusters", title: "Clusters" },
  { name: "duplicates", title: "Duplicates" },
  { name: "outliers", title: "Outliers" },
  { name: "map", title: "Map" },
  { name: "proposals", title: "To confirm" },
  { name: "compare", title: "Compare" },
];

/** What is said of the ways in which marks refine a query. @type {Record<string, string>} */
const REFINED = {
  query: "Your marks say nothing that the query does not: it stays as it is",
  rocchio: "Refined by moving the search towards what you like",
  lda: "Refined by what sets the pictures that you like apart",
  svm: "Refined by a plane between the pictures that you like and don’t",
};

/** @param {{onCollection: (name: string) => void, onView: (view: string) => void,
 *   onForget: (word: string, text: string) => void, onChange: (change: Partial<State>) => void}} options
 * `onForget` is called to take a taught word back, with the text of the query that it is in */
export function createHead({ onCollection, onView, onForget, onChange }) {
  const choice = /** @type {HTMLSelectElement} */ (find("collection"));
  choice.addEventListener("change", () => onCollection(choice.value));

  /** @param {State} state @param {Collection[]} collections */
  function showPlaces(state, collections) {
    const names = collections.map(({ name }) => name);
    if (choice.options.length !== names.length || names.some((name, i) => choice.options[i].value !== name)) {
      choice.replaceChildren(
        ...collections.map(({ name }) => element("option", { value: name, textContent: name })),
      );
    }
    choice.value = state.collection;
    choice.disabled = names.length < 2;
    choice.hidden = !names.length;
    const own = collections.find(({ name }) => name === state.collection)?.views ?? [];
    const known = ["explore", ...own, ...(names.length > 1 ? ["compare"] : [])];
    const views = VIEWS.filter(({ name }) => known.includes(name));
    find("views").hidden = views.length < 2;
    const view = known.includes(state.view) ? state.view : "explore";
    const buttons = views.map(({ name, title }) => {
      const made = element("button", {
        type: "button",
        "aria-pressed": name === view,
        textContent: title,
      });
      made.addEventListener("click", () => onView(name));
      return made;
    });
    exchange(find("views"), buttons, find("scroller"));
    const pressed = buttons[views.findIndex(({ name }) => name === view)];
    pressed?.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the row is wider than the screen
  }

  /** @param {State} state */
  function showFilters({ filters, where }) {
    const chips = filters.map((filter) => {
      const remove = iconButton(
        "close",
        `Remove the filter ${describe(filter)}`,
        () => onChange({ filters: toggle(filters, filter) }),
        "clear",
      );
      return element(
        "li",
        { className: "filter" },
        element("span", { textContent: describe(filter) }),
        remove,
      );
    });
    if (where) {
      const remove = iconButton("close", "Remove the condition", () => onChange({ where: "" }), "clear");
      chips.push(
        element("li", { className: "filter condition" }, element("code", { textContent: where }), remove),
      );
    }
    exchange(find("chosen"), chips, find("scroller"));
    find("chosen").hidden = !chips.length;
  }

  /** @param {string} word @param {string} text */
  function forget(word, text) {
    const made = element("button", { type: "button", className: "plain", textContent: "Forget it" });
    made.setAttribute("aria-label", `Forget the word ${word}`);
    made.addEventListener("click", () => onForget(word, text));
    return made;
  }

  return {
    showPlaces,
    showFilters,
    /** @param {string} text */
    say: (text) => (find("status").textContent = text),
    /** Say what the words of the query were taken for, and how marks refined it.
     * @param {import("./contract.js").Meant[]} words @param {string} refined
     * @param {boolean} canMark whether a taught word can be taken back */
    explain(words, refined, canMark) {
      const why = (/** @type {string | undefined} */ missing) => (missing ? ` (${missing})` : "");
      const said = words.flatMap(({ text, words, unknown, missing }) => [
        ...words.flatMap(({ said, word, origin }) =>
          said ? element("span", {}, said, canMark && origin === "taught" && forget(word, text)) : [],
        ),
        ...(unknown.length ? [`unknown, and left out: ${unknown.join(", ")}${why(missing)}`] : []),
      ]);
      if (refined) said.push(REFINED[refined] ?? "refined by what you like and don't");
      find("meant").replaceChildren(...said.flatMap((one, n) => (n ? [" · ", one] : [one])));
      find("meant").hidden = !said.length;
    },
    /** Show or hide the note that the best hit is weak. @param {boolean} isWeak */
    doubt: (isWeak) => (find("doubt").hidden = !isWeak),
  };
}

/** The text of the line above the pictures. @param {State} state @param {import("./sources.js").Source} source
 * @param {Collection | undefined} collection */
export function statusOf(state, source, collection) {
  const isFiltered = state.filters.length > 0 || state.where !== "";
  const all = collection?.count ?? source.compared;
  if (!state.terms.length || !source.compared) {
    return isFiltered
      ? `${number(source.total)} of ${counted(all, "picture")}`
      : counted(source.total, "picture");
  }
  return `The most similar of ${counted(source.compared, "picture")}, in ${milliseconds(source.tookMs)}`;
}
