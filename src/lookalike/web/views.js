// The other ways to look at a collection, each loaded when it is first opened.

import { find } from "./dom.js";
import { contentOf } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** What a view may do: `keep` writes a camera to the address, without a step in the history.
 * @typedef {{go: (state: State) => void, keep: (change: {look: string}) => void, shown: () => State,
 *   collections: () => import("./contract.js").Collection[], over: (text: string, action: import("./messages.js").Action) => void,
 *   changed: () => Promise<void>,
 *   fail: (error: unknown, again: () => void) => void}} Page */
/** The content, the text of the line above it, and callbacks: when it is shown, when Back changes its camera, and
 * when it closes.
 * @typedef {{node: HTMLElement, status: string, start?: () => void, update?: (state: State) => void,
 *   close?: () => void}} View */
/** @typedef {(host: import("./contract.js").Host, page: Page, state: State, signal: AbortSignal) => Promise<View>} Open */

/** @type {Record<string, () => Promise<{open: Open}>>} */
const MODULES = {
  clusters: () => import("./views/clusters.js"),
  compare: () => import("./views/compare.js"),
  duplicates: () => import("./views/duplicates.js"),
  outliers: () => import("./views/outliers.js"),
  map: () => import("./views/map.js"),
  proposals: () => import("./views/proposals.js"),
};

/** @param {import("./contract.js").Host} host @param {Page} page */
export function createViews(host, page) {
  const place = find("view");
  /** @type {View | null} */
  let open = null;
  let content = "";

  return {
    /** The view that a state names, ready to show; null for the pictures alone.
     * @param {State} state @param {AbortSignal} signal @param {boolean} anew @returns {Promise<View | null>} */
    async prepare(state, signal, anew) {
      if (!(state.view in MODULES) || (state.view !== "compare" && !host.views)) return null;
      if (open && !anew && contentOf(state) === content) return open;
      const module = await MODULES[state.view]();
      return module.open(host, page, state, signal);
    },
    /** @param {View | null} view @param {State} state */
    show(view, state) {
      content = contentOf(state);
      if (view === open) return open?.update?.(state);
      open?.close?.();
      open = view;
      document.body.classList.toggle("viewing", view !== null);
      place.hidden = view === null;
      const had = place.contains(document.activeElement) ? document.activeElement?.textContent : null;
      place.replaceChildren(...(view ? [view.node] : []));
      // A button that reloaded the view keeps the focus.
      if (had) [...place.querySelectorAll("button")].find((one) => one.textContent === had)?.focus();
      if (view) find("scroller").scrollTop = 0;
      view?.start?.();
    },
  };
}
