// Scrolls through more pixels than a browser can: a million pictures are taller than any element may be. The
// page is scaled down then; wheels and fingers still move by single pixels, the scroll bar by the whole.

// Firefox stops at 17.8 million pixels, Chromium at 33.5.
const TALLEST_PX = 12_000_000;
const SETTLE_MS = 200;

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
  const physicalLimit = () => Math.max(1, node.scrollHeight - node.clientHeight);
  const scale = () => (total > TALLEST_PX ? limit() / physicalLimit() : 1);

  node.addEventListener(
    "scroll",
    () => {
      const moved = node.scrollTop - last;
      if (!moved) return;
      last = node.scrollTop;
      const ratio = scale();
      const isJump = Math.abs(moved) > 2 * node.clientHeight;
      at = ratio === 1 ? last : isJump ? last * ratio : Math.min(limit(), Math.max(0, at + moved));
      clearTimeout(settling);
      // Bring the scroll bar to where it belongs; what is seen stays in its place.
      if (ratio !== 1) settling = setTimeout(() => put(at), SETTLE_MS);
      onScroll();
    },
    { passive: true },
  );

  /** @param {number} wanted */
  function put(wanted) {
    at = Math.min(limit(), Math.max(0, wanted));
    node.scrollTop = at / scale();
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
