// Loads the pages in view, once scrolling is slow enough to see them.

/** @typedef {import("./sources.js").Source} Source */

const CALM_MS = 60;

/**
 * @param {() => Source | undefined} current the source that is shown
 * @param {{onLoaded: (page: number) => void, onError: (error: unknown, again: () => void) => void}} options
 */
export function createFetcher(current, { onLoaded, onError }) {
  /** @type {Map<number, AbortController>} */
  const running = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let hasFailed = false;

  function stop() {
    clearTimeout(timer);
    for (const one of running.values()) one.abort();
    running.clear();
    hasFailed = false;
  }

  /** @param {number} page */
  async function load(page) {
    const source = current();
    if (!source || source.pages.has(page) || running.has(page)) return;
    const turn = new AbortController();
    running.set(page, turn);
    try {
      await source.load(page, turn.signal);
      if (!turn.signal.aborted) onLoaded(page);
    } catch (error) {
      if (turn.signal.aborted) return;
      hasFailed = true; // load nothing more until the user or the timer tries again
      onError(error, () => {
        hasFailed = false;
        return load(page);
      });
    } finally {
      if (running.get(page) === turn) running.delete(page);
    }
  }

  return {
    stop,
    /** Load these pages, and stop loading all others. @param {number} first @param {number} last */
    want(first, last) {
      for (const [page, turn] of running) {
        if (page >= first && page <= last) continue;
        turn.abort();
        running.delete(page);
      }
      clearTimeout(timer);
      if (hasFailed) return;
      timer = setTimeout(() => {
        for (let page = first; page <= last; page++) load(page);
      }, CALM_MS);
    },
  };
}
