// What a query wants and what it doesn't, as in `lookalike.search.evidence`.

import { confidenceOf, oddsOf } from "./confidence.js";
import { unit } from "./vectors.js";

/**
 * Likenesses as one unit vector, with the length of their sum and the sum of their weights; and words.
 * @typedef {{likeness: Float32Array | null, length: number, weight: number,
 *   texts: {text: string, weight: number}[]}} Side
 * @typedef {{wanted: Side | null, unwanted: Side[]}} Sides
 * @typedef {import("./confidence.js").Background} Background
 */

/** @param {import("../contract.js").Term[]} terms @param {Float32Array[]} vectors of the terms @returns {Sides} */
export function sidesOf(terms, vectors) {
  const numbers = terms.map((_, i) => i);
  const side = (/** @type {number[]} */ some) => sideOf(some.map((i) => ({ term: terms[i], vector: vectors[i] })));
  const liked = numbers.filter((i) => terms[i].weight > 0);
  const disliked = numbers.filter((i) => terms[i].weight < 0);
  return { wanted: liked.length ? side(liked) : null, unwanted: disliked.map((i) => side([i])) };
}

/** @param {{term: import("../contract.js").Term, vector: Float32Array}[]} terms @returns {Side} */
function sideOf(terms) {
  const texts = terms.flatMap(({ term }) =>
    "text" in term ? [{ text: term.text, weight: Math.abs(term.weight) }] : [],
  );
  const others = terms.filter(({ term }) => !("text" in term));
  if (!others.length) return { likeness: null, length: 1, weight: 1, texts };
  const sum = new Float32Array(others[0].vector.length);
  for (const { term, vector } of others) {
    vector.forEach((value, d) => (sum[d] += Math.abs(term.weight) * value));
  }
  const weight = others.reduce((total, { term }) => total + Math.abs(term.weight), 0);
  const likeness = unit(sum);
  return likeness
    ? { likeness, length: Math.hypot(...sum), weight, texts }
    : { likeness: others[0].vector, length: 1, weight: 1, texts };
}

/** Whether the query asks for a likeness and nothing else. @param {Sides} sides */
export function isLikeness({ wanted, unwanted }) {
  return Boolean(wanted?.likeness && !wanted.texts.length && !unwanted.length);
}

/** Whether the query asks for what words name, and for no likeness. @param {Sides} sides */
export function isWords({ wanted }) {
  return Boolean(wanted && !wanted.likeness);
}

// Of pictures found by words, this many nearest are ordered by confidence, then as many again.
export const ORDERED = 100;

/** The order of hits of words, as in Python. @param {(number | null)[]} confidences */
export function byConfidence(confidences) {
  const block = (/** @type {number} */ i) => Math.floor(i / ORDERED);
  return confidences
    .map((_, i) => i)
    .sort((a, b) => block(a) - block(b) || (confidences[b] ?? 0) - (confidences[a] ?? 0));
}

/** How likely a picture is wanted, and not unwanted. @param {Background} background @param {Sides} sides
 * @param {Float32Array} vector of the picture @param {(text: string, vector: Float32Array) => number} presence */
export function confidenceIn(background, sides, vector, presence) {
  const odds = (/** @type {Side} */ side) => oddsOfSide(background, side, vector, presence);
  return confidenceOf(sides.wanted && odds(sides.wanted), sides.unwanted.map(odds));
}

/** The weighted mean of the log-odds of a side's likeness and words. @param {Background} background
 * @param {Side} side @param {Float32Array} vector @param {(text: string, vector: Float32Array) => number} presence */
function oddsOfSide(background, { likeness, length, weight, texts }, vector, presence) {
  let sum = 0;
  let weights = 0;
  if (likeness) {
    const score = likeness.reduce((total, value, d) => total + value * vector[d], 0);
    sum += weight * oddsOf(background, score, { ofWords: false, length, weight });
    weights += weight;
  }
  for (const { text, weight: own } of texts) {
    const chance = Math.min(Math.max(presence(text, vector), 1e-6), 1 - 1e-6);
    sum += own * Math.log(chance / (1 - chance));
    weights += own;
  }
  return sum / weights;
}
