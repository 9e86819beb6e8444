// Refines a query by what a visitor likes and doesn't, by the linear SVM of `lookalike.search.thumbs`. Choosing among
// ways needs exemplar-LDA to gain anything, and its inverse of a large matrix takes a browser too long (docs/site.md).

import { unit } from "./vectors.js";

const [PENALTY, ROUNDS, SETTLED] = [1, 200, 1e-4];

/** Refine a query by marked pictures; all are unit vectors. On the marks the result is never worse than the query.
 * @param {Float32Array} query @param {Float32Array[]} liked @param {Float32Array[]} unliked
 * @returns {{vector: Float32Array, way: string}} */
export function refined(query, liked, unliked) {
  const vector = svm(query, liked, unliked);
  if (onMarks(vector, liked, unliked) < onMarks(query, liked, unliked)) return { vector: query, way: "query" };
  return { vector, way: "svm" };
}

/** The average precision of what is wanted among the others, by their scores; ties count against it.
 * @param {number[]} shown @param {number[]} others */
export function averagePrecision(shown, others) {
  const best = shown.toSorted((a, b) => b - a);
  const found = best.map((score, i) => (i + 1) / (i + 1 + others.filter((other) => other >= score).length));
  return found.reduce((sum, one) => sum + one, 0) / best.length;
}

/** The normal of the plane with the widest margin between what is liked, the query too, and what isn't.
 * @param {Float32Array} query @param {Float32Array[]} liked @param {Float32Array[]} unliked */
function svm(query, liked, unliked) {
  const vectors = [query, ...liked, ...unliked];
  const sides = vectors.map((_, i) => (i <= liked.length ? 1 : -1));
  const sum = new Float32Array(query.length);
  support(vectors, sides).forEach((weight, i) => add(sum, vectors[i], weight));
  return unit(sum) ?? query;
}

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
