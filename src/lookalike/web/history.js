// The browser's history: an entry a state, and how far down each was scrolled.

import { addressOf, stateOf } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** What was at the top of the view. @typedef {{index: number, offset: number} | null} Place */

/** Browsers allow some writing to the history, not one at each step of scrolling. */
const WRITE_MS = 200;

/** By the key of the entry. @type {Map<string, Place>} */
const places = new Map();

export function current() {
  return stateOf(location.hash);
}

/** Make a state the newest entry, or put it in the place of the newest. @param {State} state
 * @param {Place} place of what is left @param {boolean} replace */
export function record(state, place, replace) {
  if (addressOf(state) === addressOf(current())) return;
  if (replace) return history.replaceState(history.state, "", addressOf(state));
  places.set(history.state?.key, place);
  history.pushState({ key: newKey() }, "", addressOf(state));
}

/** Where the entry that is shown was scrolled to when it was left. @returns {Place} */
export function placeOfEntry() {
  return places.get(history.state?.key) ?? history.state?.place ?? null;
}

/**
 * Call back when the person goes back or forward, or changes the address by hand.
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
  // A reload forgets everything but the history's own entries.
  scroller.addEventListener(
    "scroll",
    () => {
      clearTimeout(timer);
      timer = setTimeout(() => history.replaceState({ key, place: place() }, ""), WRITE_MS);
    },
    { passive: true },
  );
  return {
    /** The entry that is shown is the newest one now. */
    arrived() {
      clearTimeout(timer);
      key = history.state.key;
    },
  };
}

/** A random name; unlike `randomUUID`, this works where the page does not come by HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
