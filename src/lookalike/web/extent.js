// The height of a long column of blocks, and where each block is. Most blocks are never seen, so their
// heights are estimated, and corrected when they are laid out.

/** @param {number} count of blocks @param {(block: number) => number} guess the height of one, in pixels */
export function createExtent(count, guess) {
  const heights = Float64Array.from({ length: count }, (_, block) => guess(block));
  const tops = new Float64Array(count + 1);
  let valid = 0; // tops[0..valid] are right

  /** @param {number} block */
  function top(block) {
    for (; valid < block; valid++) tops[valid + 1] = tops[valid] + heights[valid];
    return tops[block];
  }

  return {
    count,
    top,
    height: (/** @type {number} */ block) => heights[block],
    total: () => top(count),
    /** Correct a height; returns how much it grew. @param {number} block @param {number} height */
    set(block, height) {
      const grown = height - heights[block];
      heights[block] = height;
      if (grown) valid = Math.min(valid, block);
      return grown;
    },
    /** The block at a distance from the top; the first or last one beyond the ends. @param {number} y */
    at(y) {
      top(count);
      let [low, high] = [0, count - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (tops[middle] <= y) low = middle;
        else high = middle - 1;
      }
      return low;
    },
  };
}
