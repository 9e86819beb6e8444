// Scrolls through more pixels than browsers support: a million pictures are taller than any element may be. The
// scroll bar then moves farther than its position says; wheels and fingers still move by single pixels.

// Firefox stops at 17.8 million pixels, Chromium at 33.5.
const TALLEST_PX = 12_000_000;
/** Nothing is scaled this close to either end; otherwise the browser would reach its end before the pictures do. */
const EVEN_PX = 1_000_000;
const SETTLE_MS = 200;

/** Map a position in a length `from` to a length `to`: unchanged near both ends, scaled in between.
 * @param {number} at @param {number} from @param {number} to */
export function stretched(at, from, to) {
  if (at <= EVEN_PX) return at;
  if (from - at <= EVEN_PX) return to - (from - at);
  return EVEN_PX + ((at - EVEN_PX) * (to - 2 * EVEN_PX)) / (from - 2 * EVEN_PX);
}

/**
 * @param {HTMLElement} node scrolls @param {HTMLElement} sizer the scrolled element, as high as all pictures
 * @param {() => void} onScroll
 */
export function createScroller(node, sizer, onScroll) {
  /** `at` is the scroll position in our pixels, which may exceed the browser's; `last` is the browser's. */
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
      // Move the scroll bar to where it belongs; what is in view stays in place.
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
    /** How far the pictures are scrolled, in our pixels; negative while something above them is in view. */
    y: () => at - sizer.offsetTop,
    view: () => node.clientHeight,
    /** The position inside the sizer of something at a distance from the top of all pictures. @param {number} top */
    place: (top) => top - at + last,
    /** Move to a distance from the top of all pictures. @param {number} wanted */
    scrollTo: (wanted) => put(wanted + sizer.offsetTop),
    /** @param {number} height of all pictures */
    setHeight(height) {
      if (height === total) return;
      total = height;
      sizer.style.height = `${Math.min(height, TALLEST_PX)}px`;
    },
    /** Keep what is in view in place after something above it has grown. @param {number} grown */
    shift: (grown) => put(at + grown),
  };
}
