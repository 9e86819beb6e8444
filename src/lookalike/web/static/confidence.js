// How hard it is to be that similar by chance: as `lookalike.background` computes it (docs/confidence.md).

/**
 * Cosines of random pairs: percentiles 0 to 99, and the mean excess of those above the last.
 * @typedef {{percentiles: number[], tail: number}} Distribution
 * @typedef {{count: number, items: Distribution, words: Distribution | null}} Background
 */

/**
 * What a confidence depends on besides the score: whether all terms are words, the length of the weighted sum of
 * unit vectors, and the sum of the weights.
 * @typedef {{ofWords: boolean, length: number, weight: number}} Sum
 */

/** The confidence, from 0 to 1. @param {Background} background @param {number} score @param {Sum} sum */
export function confidenceOf({ count, items, words }, score, { ofWords, length, weight }) {
  const pairs = ofWords && words ? words : items;
  return fractionBelow(pairs, asOfOne(score, pairs.percentiles[50], length, weight)) ** Math.sqrt(count);
}

/** Convert a cosine to a sum into the cosine to one of its terms that is equally unusual.
 * @param {number} score @param {number} usual @param {number} length @param {number} weight */
function asOfOne(score, usual, length, weight) {
  const spread = Math.max(length ** 2 - usual * weight ** 2, ((1 - usual) * length ** 2) / 100);
  if (usual >= 1 || spread <= 0) return score;
  return usual + (score * length - usual * weight) * Math.sqrt((1 - usual) / spread);
}

/** The fraction of pairs that are less similar. @param {Distribution} distribution @param {number} score */
function fractionBelow({ percentiles, tail }, score) {
  const last = percentiles.length - 1;
  if (score > percentiles[last]) return 1 - (1 - last / 100) * Math.exp((percentiles[last] - score) / tail);
  // Of equal percentiles, the first counts.
  const above = percentiles.findIndex((value) => value >= score);
  if (above <= 0 || percentiles[above] === score) return Math.max(0, above) / 100;
  const below = percentiles.indexOf(percentiles[above - 1]);
  const share = (score - percentiles[below]) / (percentiles[above] - percentiles[below]);
  return (below + share * (above - below)) / 100;
}
