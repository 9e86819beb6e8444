// Retries while the server is unreachable, less and less often, until it is back.

const FIRST_MS = 2000;
const LONGEST_MS = 15_000;

/** Runs failed work again later, one thing at a time. */
export function createRetry() {
  let wait = FIRST_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  return {
    /** @param {() => void} again */
    later(again) {
      clearTimeout(timer);
      timer = setTimeout(again, wait);
      wait = Math.min(LONGEST_MS, wait * 2);
    },
    /** Stop retrying: the server is back, or something else is done instead. */
    stop() {
      clearTimeout(timer);
      wait = FIRST_MS;
    },
  };
}
