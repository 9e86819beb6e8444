// How hard it is to be that similar by chance: as `lookalike.background` computes it (docs/confidence.md).

/**
 * Cosines of random pairs: percentiles 0 to 99, and the mean excess of those above the last.
 * @typedef {{percentiles: number[], tail: number}} Distribution
 * @typedef {{count: number, items: Distribution, words: Distribution | null}} Background
 */

/** From 0 to 1. @param {Background} background @param {number} score @param {boolean} ofWords */
export function confidenceOf({ count, items, words }, score, ofWords) {
  return fractionBelow(ofWords && words ? words : items, score) ** Math.sqrt(count);
}

/** The fraction of pairs that are less similar. @param {Distribution} distribution @param {number} score */
function fractionBelow({ percentiles, tail }, score) {
  const last = percentiles.length - 1;
  if (score > percentiles[last]) return 1 - (1 - last / 100) * Math.exp((percentiles[last] - score) / tail);
  // Of equal percentiles the first counts.
  const above = percentiles.findIndex((value) => value >= score);
  if (above <= 0 || percentiles[above] === score) return Math.max(0, above) / 100;
  const below = percentiles.indexOf(percentiles[above - 1]);
  const share = (score - percentiles[below]) / (percentiles[above] - percentiles[below]);
  return (below + share * (above - below)) / 100;
}
