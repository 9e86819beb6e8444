// Refines a query by what a visitor likes and doesn't: two of the three ways of `lookalike.search.thumbs`. The third
// needs the inverse of a matrix with a row for each dimension, which takes a browser too long.

import { unit } from "./vectors.js";

/** @typedef {(query: Float32Array, liked: Float32Array[], unliked: Float32Array[]) => Float32Array} Way */

const UNLIKED_WEIGHT = 0.5; // what is not liked says less than what is (Rocchio 1971)
const FOLDS = 5;
const [PENALTY, ROUNDS, SETTLED] = [1, 200, 1e-4];

/** Refine a query by marked pictures; all are unit vectors. Each way is tried with a fifth of the marks held out, and
 * the one that ranks these best is used. On the marks the result is never worse than the query.
 * @param {Float32Array} query @param {Float32Array[]} liked @param {Float32Array[]} unliked
 * @param {Float32Array[]} sample some pictures of the collection @returns {{vector: Float32Array, way: string}} */
export function refined(query, liked, unliked, sample) {
  const ways = Object.keys(WAYS);
  const scores = ways.map((way) => heldOut(WAYS[way], query, liked, unliked, sample));
  const best = scores.indexOf(Math.max(...scores)); // the first of equals
  const vector = WAYS[ways[best]](query, liked, unliked);
  if (onMarks(vector, liked, unliked) < onMarks(query, liked, unliked)) return { vector: query, way: "query" };
  return { vector, way: ways[best] };
}

/** The average precision of what is wanted among the others, by their scores; ties count against it.
 * @param {number[]} shown @param {number[]} others */
export function averagePrecision(shown, others) {
  const best = shown.toSorted((a, b) => b - a);
  const found = best.map((score, i) => (i + 1) / (i + 1 + others.filter((other) => other >= score).length));
  return found.reduce((sum, one) => sum + one, 0) / best.length;
}

/** @type {Way} */
function rocchio(query, liked, unliked) {
  const sum = Float32Array.from(query);
  for (const one of liked) add(sum, one, 1 / liked.length);
  for (const one of unliked) add(sum, one, -UNLIKED_WEIGHT / unliked.length);
  return unit(sum) ?? query;
}

/** The normal of the plane with the widest margin between what is liked, the query too, and what isn't. @type {Way} */
function svm(query, liked, unliked) {
  const vectors = [query, ...liked, ...unliked];
  const sides = vectors.map((_, i) => (i <= liked.length ? 1 : -1));
  const sum = new Float32Array(query.length);
  support(vectors, sides).forEach((weight, i) => add(sum, vectors[i], weight));
  return unit(sum) ?? query;
}

/** @type {Record<string, Way>} */
const WAYS = { rocchio, svm, query: (query) => query };

/** The weights of vectors in the normal of a linear SVM with squared hinge loss and a bias, by dual coordinate descent
 * (Hsieh et al. 2008). @param {Float32Array[]} vectors @param {number[]} sides 1 and -1, which count the same together */
function support(vectors, sides) {
  const products = vectors.map((one) => vectors.map((other) => dot(one, other) + 1));
  const share = (/** @type {number} */ side) => sides.filter((one) => one === side).length / sides.length;
  const bend = sides.map((side) => share(side) / PENALTY);
  const weights = new Float64Array(sides.length);
  const scores = new Float64Array(sides.length);
  for (let round = 0; round < ROUNDS; round++) {
    let largest = 0;
    sides.forEach((side, at) => {
      const slope = side * scores[at] - 1 + bend[at] * weights[at];
      const step = Math.max(weights[at] - slope / (products[at][at] + bend[at]), 0) - weights[at];
      scores.forEach((_, i) => (scores[i] += step * side * products[at][i]));
      weights[at] += step;
      largest = Math.max(largest, Math.abs(step));
    });
    if (largest < SETTLED) break;
  }
  return Array.from(weights, (weight, i) => weight * sides[i]);
}

/** How well a way ranks marks that it was not given. @param {Way} way @param {Float32Array} query
 * @param {Float32Array[]} liked @param {Float32Array[]} unliked @param {Float32Array[]} sample */
function heldOut(way, query, liked, unliked, sample) {
  /** @type {number[]} */
  const shown = [];
  /** @type {number[]} */
  const others = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const isIn = (/** @type {unknown} */ _, /** @type {number} */ i) => i % FOLDS === fold;
    const isOut = (/** @type {unknown} */ _, /** @type {number} */ i) => i % FOLDS !== fold;
    const found = way(query, liked.filter(isOut), unliked.filter(isOut));
    const { middle, scale } = usual(sample.map((one) => dot(one, found)));
    const score = (/** @type {Float32Array} */ one) => (dot(one, found) - middle) / scale;
    shown.push(...liked.filter(isIn).map(score));
    others.push(...unliked.filter(isIn).map(score));
  }
  return Math.round(averagePrecision(shown, others) * 1e6);
}

/** The mean and the deviation of scores, by which those of different directions compare. @param {number[]} scores */
function usual(scores) {
  const middle = scores.reduce((sum, one) => sum + one, 0) / scores.length;
  const variance = scores.reduce((sum, one) => sum + (one - middle) ** 2, 0) / scores.length;
  return { middle, scale: Math.max(Math.sqrt(variance), 1e-9) };
}

/** @param {Float32Array} vector @param {Float32Array[]} liked @param {Float32Array[]} unliked */
function onMarks(vector, liked, unliked) {
  const scores = (/** @type {Float32Array[]} */ some) => some.map((one) => dot(one, vector));
  return averagePrecision(scores(liked), scores(unliked));
}

/** @param {Float32Array} sum @param {Float32Array} vector @param {number} weight */
function add(sum, vector, weight) {
  for (let d = 0; d < sum.length; d++) sum[d] += weight * vector[d];
}

/** @param {Float32Array} one @param {Float32Array} other */
function dot(one, other) {
  let sum = 0;
  for (let d = 0; d < one.length; d++) sum += one[d] * other[d];
  return sum;
}
