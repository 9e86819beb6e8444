// The browser's history: one entry for each state, and how far each was scrolled.

import { addressOf, stateOf } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** What was at the top of the view. @typedef {{index: number, offset: number} | null} Place */

/** Browsers limit how often the history may be written; once for each scroll step is too often. */
const WRITE_MS = 200;

/** By the key of the entry. @type {Map<string, Place>} */
const places = new Map();

export function current() {
  return stateOf(location.hash);
}

/** Make a state the newest entry, or replace the newest entry with it. @param {State} state
 * @param {Place} place where the previous state is left @param {boolean} replace */
export function record(state, place, replace) {
  if (addressOf(state) === addressOf(current())) return;
  if (replace) return history.replaceState(history.state, "", addressOf(state));
  places.set(history.state?.key, place);
  history.pushState({ key: newKey() }, "", addressOf(state));
}

/** Where the current entry was scrolled to when it was left. @returns {Place} */
export function placeOfEntry() {
  return places.get(history.state?.key) ?? history.state?.place ?? null;
}

/**
 * Call back when the user goes back or forward, or edits the address.
 * @param {() => void} callback
 * @param {{scroller: HTMLElement, place: () => Place}} page what scrolls, and where it is now
 */
export function onTravel(callback, { scroller, place }) {
  history.scrollRestoration = "manual";
  if (!history.state?.key) history.replaceState({ key: newKey() }, "");
  let key = history.state.key;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  addEventListener("popstate", () => {
    clearTimeout(timer);
    places.set(key, place());
    if (!history.state?.key) history.replaceState({ key: newKey() }, "");
    callback();
  });
  // A reload forgets everything except the history's entries.
  scroller.addEventListener(
    "scroll",
    () => {
      clearTimeout(timer);
      timer = setTimeout(() => history.replaceState({ key, place: place() }, ""), WRITE_MS);
    },
    { passive: true },
  );
  return {
    /** Make the current entry the newest one. */
    arrived() {
      clearTimeout(timer);
      key = history.state.key;
    },
  };
}

/** A random name; unlike `randomUUID`, this also works without HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
