// Error messages: at the field, over the pictures, or instead of them.

import { HostError } from "./contract.js";
import { find } from "./dom.js";
import { sentence } from "./format.js";
import { addressOf, START } from "./state.js";

/** @typedef {import("./state.js").State} State */

const UNREADABLE = ["not-a-picture", "empty-body", "too-large", "unsupported-type"];

/**
 * @param {{
 *   messages: ReturnType<typeof import("./messages.js").createMessages>,
 *   words: {refuse: (text: string, nearest: string[]) => void},
 *   facets: {refuse: (where: string, text: string) => void},
 *   grid: {total: () => number, isBlank: () => boolean, clear: () => void},
 *   retry: ReturnType<typeof import("./retry.js").createRetry>,
 *   go: (state: State) => void}} page
 */
export function createFailures({ messages, words, facets, grid, retry, go }) {
  /**
   * @param {unknown} error @param {() => void} again what to do to try again
   * @param {State} shown @param {State} [next] what should have been shown
   */
  return function fail(error, again, shown, next = shown) {
    const known =
      error instanceof HostError ? error : new HostError("failure", "That did not work", String(error));
    const { kind, title, nearest } = known;
    const detail = sentence(known.detail);
    if (!(error instanceof HostError)) console.error(error);
    const start = { ...START, collection: next.collection };
    const all = { text: "All pictures", href: addressOf(start), act: () => go(start) };
    const tryAgain = { text: "Try again", act: again };

    if (kind === "unreachable") {
      retry.later(again);
      if (grid.isBlank()) showInstead(title, `${detail} Trying again…`, [{ ...tryAgain, text: "Try now" }]);
      else messages.over(`${title}. Trying again…`, { ...tryAgain, text: "Try now" });
    } else if (UNREADABLE.includes(kind)) {
      messages.over(kind === "too-large" ? `Too large. ${detail}` : detail || title);
    } else if (kind === "unknown-word" || (kind !== "no-words" && isWords(shown, next))) {
      if (!grid.isBlank()) return words.refuse(detail || title, nearest);
      const others = nearest.map((text) => linkTo(start, { kind: "text", text, weight: 1 }, text));
      const isUnknown = kind === "unknown-word";
      showInstead(isUnknown ? "The model does not know these words" : title, detail, [...others, all]);
    } else if (kind === "bad-condition" || (next.where && next.where !== shown.where)) {
      facets.refuse(next.where, detail || title);
      if (grid.isBlank()) showInstead("The condition is invalid", detail, [all]);
    } else if (kind === "unknown-item" && next === shown) {
      messages.over("This picture is not in the collection");
    } else if (kind === "unknown-item") {
      const others = nearest.map((id) => linkTo(start, { kind: "id", id, weight: 1 }, id));
      const text = others.length ? "Did you mean one of these?" : "It may have been removed.";
      showInstead("This picture is not in the collection", text, [...others, all]);
    } else if (kind === "unknown-collection") {
      const first = { text: "Show the first collection", href: addressOf(START), act: () => go(START) };
      showInstead(title, detail, [first]);
    } else if (grid.isBlank()) {
      showInstead(title, detail, [tryAgain]);
    } else {
      messages.over(`${title}. ${detail}`.trim(), tryAgain);
    }
  };

  /** @param {State} start @param {import("./terms.js").Term} term @param {string} text */
  function linkTo(start, term, text) {
    const state = { ...start, terms: [term] };
    return { text, href: addressOf(state), act: () => go(state) };
  }

  /** @param {string} title @param {string} text @param {import("./messages.js").Action[]} actions */
  function showInstead(title, text, actions) {
    grid.clear();
    find("status").textContent = "";
    messages.inPlace(title, text, actions);
  }
}

/** Whether the new term of the query is words. @param {State} shown @param {State} next */
function isWords(shown, next) {
  const last = next.terms.at(-1);
  return last?.kind === "text" && next.terms.length > shown.terms.length && next.where === shown.where;
}
