// Scrolls through more pixels than a browser can: a million pictures are taller than any element may be. The
// scroll bar then moves by more than it says; wheels and fingers still move by single pixels.

// Firefox stops at 17.8 million pixels, Chromium at 33.5.
const TALLEST_PX = 12_000_000;
/** So far from both ends nothing is scaled, or the browser would be at its end before the pictures are. */
const EVEN_PX = 1_000_000;
const SETTLE_MS = 200;

/** The place in a length `to` of a place in a length `from`: the same near both ends, scaled between them.
 * @param {number} at @param {number} from @param {number} to */
export function stretched(at, from, to) {
  if (at <= EVEN_PX) return at;
  if (from - at <= EVEN_PX) return to - (from - at);
  return EVEN_PX + ((at - EVEN_PX) * (to - 2 * EVEN_PX)) / (from - 2 * EVEN_PX);
}

/**
 * @param {HTMLElement} node scrolls @param {HTMLElement} sizer is what it scrolls, as high as all pictures
 * @param {() => void} onScroll
 */
export function createScroller(node, sizer, onScroll) {
  /** `at` is how far all is scrolled, in pixels that the browser may not have; `last` in those it has. */
  let [total, at, last] = [0, 0, 0];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let settling;

  const limit = () => Math.max(0, total + node.scrollHeight - sizer.offsetHeight - node.clientHeight);
  const physicalLimit = () => node.scrollHeight - node.clientHeight;

  const clamp = (/** @type {number} */ wanted) => Math.min(limit(), Math.max(0, wanted));

  node.addEventListener(
    "scroll",
    () => {
      const moved = node.scrollTop - last;
      if (!moved) return;
      last = node.scrollTop;
      const isScaled = total > TALLEST_PX;
      const isJump = Math.abs(moved) > 2 * node.clientHeight;
      at = isScaled && !isJump ? clamp(at + moved) : stretched(last, physicalLimit(), limit());
      clearTimeout(settling);
      // Bring the scroll bar to where it belongs; what is seen stays in its place.
      if (isScaled) settling = setTimeout(() => put(at), SETTLE_MS);
      onScroll();
    },
    { passive: true },
  );

  /** @param {number} wanted */
  function put(wanted) {
    at = clamp(wanted);
    node.scrollTop = stretched(at, limit(), physicalLimit());
    last = node.scrollTop;
    onScroll();
  }

  return {
    /** How far the pictures are scrolled, in pixels of their own; negative while something above is seen. */
    y: () => at - sizer.offsetTop,
    view: () => node.clientHeight,
    /** Where something at a distance from the top of all pictures is inside the sizer. @param {number} top */
    place: (top) => top - at + last,
    /** Move to a distance from the top of all pictures. @param {number} wanted */
    scrollTo: (wanted) => put(wanted + sizer.offsetTop),
    /** @param {number} height of all pictures */
    setHeight(height) {
      if (height === total) return;
      total = height;
      sizer.style.height = `${Math.min(height, TALLEST_PX)}px`;
    },
    /** Something above what is seen has grown: what is seen stays in its place. @param {number} grown */
    shift: (grown) => put(at + grown),
  };
}
