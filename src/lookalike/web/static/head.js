// A head: layers on the unit vector of another network, by the rules of `lookalike.models.head_model`.

import { unit } from "./vectors.js";

/** A layer: `dim` columns of a matrix, row by row, and then the offset.
 * @typedef {{rows: Float32Array | Int8Array, count: number, dim: number}} Layer */

/** The unit vector that a head gives for one. @param {import("./network.js").Branch[]} branches
 * @param {Layer[]} layers of all branches, in turn @param {Float32Array} vector @returns {Float32Array} */
export function applied(branches, layers, vector) {
  const left = [...layers];
  const parts = branches.map((branch) => {
    const own = left.splice(0, branch.layers);
    return directed(through(branch, own, vector)).map((value) => value * branch.weight);
  });
  return directed(Float32Array.from(parts.flatMap((part) => [...part])));
}

/** @param {import("./network.js").Branch} branch @param {Layer[]} layers @param {Float32Array} vector */
function through({ power, end }, layers, vector) {
  const raised = (/** @type {number} */ value) => Math.sign(value) * Math.abs(value) ** power;
  let values = power === 1 ? vector : directed(vector.map(raised));
  layers.forEach((layer, number) => {
    values = product(layer, number ? values.map((value) => Math.max(value, 0)) : values);
  });
  return end === "softmax" ? softmax(values) : values;
}

/** @param {Layer} layer @param {Float32Array} values */
function product({ rows, count, dim }, values) {
  const sums = Float64Array.from(rows.subarray((count - 1) * dim));
  for (let i = 0; i < count - 1; i++) {
    for (let d = 0; d < dim; d++) sums[d] += values[i] * rows[i * dim + d];
  }
  return Float32Array.from(sums);
}

/** @param {Float32Array} scores */
function softmax(scores) {
  const most = Math.max(...scores);
  const odds = scores.map((score) => Math.exp(score - most));
  const total = odds.reduce((sum, one) => sum + one, 0);
  return odds.map((one) => one / total);
}

/** A unit vector; one of zeros gets the direction in which all numbers are equal, as in Python.
 * @param {Float32Array} vector */
export function directed(vector) {
  return unit(vector) ?? new Float32Array(vector.length).fill(1 / Math.sqrt(vector.length));
}
