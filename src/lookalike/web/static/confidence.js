// How likely a hit is what the query asked for, computed as in `lookalike.search` (docs/confidence.md).

/**
 * Cosines of random pairs: percentiles 0 to 99, and the mean excess over the last.
 * @typedef {{percentiles: number[], tail: number}} Distribution
 * @typedef {{count: number, items: Distribution, words: Distribution | null, by_cosine: boolean}} Background
 */

/**
 * What the odds depend on besides the score: whether the query has words, the length of the weighted sum of unit
 * vectors, and the sum of the weights.
 * @typedef {{ofWords: boolean, length: number, weight: number}} Sum
 */

/** As in `lookalike.search.confidence` and `lookalike.search.evidence`. */
export const WEAK = 1 / 3;
// Of so many hits the surest counts.
export const FIRST_HITS = 10;
export const NEIGHBOURS = 10;
const OF_COSINE = { slope: 9.93, intercept: -5.63 };
const OF_RARITY = { slope: 0.706, intercept: 0.064 };
const RAREST = 1e-12;
const SHARPNESS = 20;
const OF_SHARE = { slope: 1.32, intercept: 0.036 };
const SMOOTHING = 0.02;
const STRANGER = 0.3;

/** The log-odds of a likeness. @param {Background} background @param {number} score @param {Sum} sum */
export function oddsOf({ count, items, words, by_cosine }, score, { ofWords, length, weight }) {
  const pairs = ofWords && words ? words : items;
  const cosine = asOfOne(score, pairs.percentiles[50], length, weight);
  if (by_cosine && !ofWords) return OF_COSINE.slope * cosine + OF_COSINE.intercept;
  const beaten = fractionBelow(pairs, cosine) ** Math.sqrt(count);
  const rarity = -Math.log(-Math.log(Math.min(Math.max(beaten, RAREST), 1 - RAREST)));
  return OF_RARITY.slope * rarity + OF_RARITY.intercept;
}

/** From 0 to 1: how likely a hit is wanted, if anything is, and not unwanted, from the log-odds of each.
 * @param {number | null} wanted @param {number[]} unwanted */
export function confidenceOf(wanted, unwanted) {
  const against = unwanted.length ? Math.exp(Math.max(...unwanted)) : 0;
  return wanted === null ? 1 / (1 + against) : 1 / (1 + (1 + against) * Math.exp(-wanted));
}

/** Improve the confidences of hits with these labels, using the labels nearest to the query.
 * @param {number[]} confidences @param {(string | null)[]} labels
 * @param {{score: number, label: string | null}[]} near */
export function sharpened(confidences, labels, near) {
  const best = Math.max(...near.map(({ score }) => score));
  /** @type {Map<string, number>} */
  const votes = new Map();
  let total = 0;
  for (const { score, label } of near) {
    if (label === null) continue;
    const weight = Math.exp(SHARPNESS * (score - best));
    votes.set(label, (votes.get(label) ?? 0) + weight);
    total += weight;
  }
  if (!total) return confidences;
  return confidences.map((confidence, i) => {
    const label = labels[i];
    if (label === null) return confidence;
    const share = (votes.get(label) ?? 0) / total;
    const odds = Math.log((share + SMOOTHING) / (1 + SMOOTHING - share));
    return confidenceOf(OF_SHARE.slope * odds + OF_SHARE.intercept, []) * Math.min(1, confidence / STRANGER);
  });
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
