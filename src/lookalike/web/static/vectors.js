// Vectors in 8 bits, and the search among them in two passes. docs/site.md explains both.
//
// First every item is compared by one bit a dimension, which is coarse but forty times less to read; then
// the best thousand by their 8 bits. This module knows nothing of files or messages.

const HEADER_BYTES = 32;
const FLOAT32 = 0;
const INT8 = 1;

// How many go into the second pass: of 12,000 real vectors, 1,000 contain 99.5 % of the ten nearest.
const CANDIDATES = 1000;
const CANDIDATE_SHARE = 1 / 64;

/**
 * The contents of a file of vectors; `rows` has count * dim numbers, and a row times its scale is the vector.
 * @param {ArrayBuffer} buffer
 * @returns {{first: number, count: number, dim: number, scales: Float32Array, rows: Int8Array | Float32Array}}
 */
export function parseVectors(buffer) {
  const view = new DataView(buffer);
  const magic = buffer.byteLength < HEADER_BYTES ? 0 : view.getUint32(0);
  if (magic !== 0x4c4b4c56) throw new Error("this is not a file of vectors: it does not start with LKLV");
  const [version, dtype] = [view.getUint16(4, true), view.getUint16(6, true)];
  const [count, dim] = [view.getUint32(8, true), view.getUint32(12, true)];
  if (version !== 1 || (dtype !== FLOAT32 && dtype !== INT8)) {
    throw new Error(`vectors of version ${version} and dtype ${dtype} are not supported`);
  }
  const bytes = dtype === INT8 ? count * (4 + dim) : 4 * count * dim;
  if (buffer.byteLength !== HEADER_BYTES + bytes) {
    throw new Error(`${count} vectors of ${dim} numbers do not fit ${buffer.byteLength} bytes`);
  }
  const first = Number(view.getBigUint64(16, true));
  if (dtype === FLOAT32) {
    const scales = new Float32Array(count).fill(1);
    return { first, count, dim, scales, rows: new Float32Array(buffer, HEADER_BYTES) };
  }
  const scales = new Float32Array(buffer, HEADER_BYTES, count);
  return { first, count, dim, scales, rows: new Int8Array(buffer, HEADER_BYTES + 4 * count) };
}

/** The vectors of a collection, filled file by file. */
export class VectorSet {
  /** @param {number} count @param {Float32Array} center which each number is compared with to get its bit */
  constructor(count, center) {
    this.count = count;
    this.center = center;
    this.dim = center.length;
    this.words = Math.ceil(this.dim / 32);
    this.rows = new Int8Array(count * this.dim);
    this.scales = new Float32Array(count);
    this.bits = new Uint32Array(count * this.words);
    this.everyRow = Uint32Array.from({ length: count }, (_, row) => row);
  }

  /** Add the vectors of a file. @param {ReturnType<typeof parseVectors>} file */
  add({ first, count, dim, scales, rows }) {
    if (dim !== this.dim || first + count > this.count)
      throw new Error("the files of vectors do not fit together");
    this.rows.set(rows, first * dim);
    this.scales.set(scales, first);
    for (let row = first; row < first + count; row++) {
      const vector = this.rows.subarray(row * dim, (row + 1) * dim);
      this.bits.set(this.bitsOf(vector, this.scales[row]), row * this.words);
    }
  }

  /** One bit a dimension: whether it is above the center. @param {ArrayLike<number>} vector @param {number} scale */
  bitsOf(vector, scale) {
    const bits = new Uint32Array(this.words);
    for (let d = 0; d < this.dim; d++) {
      if (vector[d] * scale > this.center[d]) bits[d >>> 5] |= 1 << (d & 31);
    }
    return bits;
  }

  /** The vector of a row, of length 1. @param {number} row */
  vectorOf(row) {
    const vector = Float32Array.from(this.rows.subarray(row * this.dim, (row + 1) * this.dim));
    return vector.map((value) => value * this.scales[row]);
  }

  /**
   * The k rows most like a query of length 1, and their cosines, descending; equal ones keep their order.
   * @param {Float32Array} query @param {number} k
   * @param {Uint32Array} among the rows that may be found
   * @returns {{row: number, score: number}[]}
   */
  nearest(query, k, among = this.everyRow) {
    const wanted = Math.max(CANDIDATES, 4 * k, Math.ceil(among.length * CANDIDATE_SHARE));
    const candidates = wanted < among.length ? this.alike(query, wanted, among) : among;
    const scored = Array.from(candidates, (row) => ({ row, score: this.cosine(query, row) }));
    return scored.sort((a, b) => b.score - a.score || a.row - b.row).slice(0, k);
  }

  /** At least `wanted` rows, those whose bits differ least from the query's.
   * @param {Float32Array} query @param {number} wanted @param {Uint32Array} among */
  alike(query, wanted, among) {
    const distances = hamming(this.bits, this.bitsOf(query, 1), this.words, among);
    // Counting how often each distance occurs finds the limit in one pass, without sorting.
    const counts = new Uint32Array(this.words * 32 + 1);
    for (const distance of distances) counts[distance]++;
    let limit = 0;
    for (let found = counts[0]; found < wanted; found += counts[limit]) limit++;
    const rows = [];
    for (let place = 0; place < distances.length; place++) {
      if (distances[place] <= limit) rows.push(among[place]);
    }
    return rows;
  }

  /** @param {Float32Array} query @param {number} row */
  cosine(query, row) {
    const { rows, dim } = this;
    const start = row * dim;
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += query[d] * rows[start + d];
    return Math.min(1, Math.max(-1, sum * this.scales[row]));
  }
}

/** The number of bits in which each of these rows differs from the query.
 * @param {Uint32Array} bits @param {Uint32Array} query @param {number} words @param {Uint32Array} rows */
export function hamming(bits, query, words, rows) {
  const distances = new Uint16Array(rows.length);
  for (let place = 0; place < rows.length; place++) {
    let distance = 0;
    for (let word = 0, at = rows[place] * words; word < words; word++, at++) {
      // The bits of a word, added in pairs, then fours, then bytes (Warren, Hacker's Delight, 5-1).
      let x = bits[at] ^ query[word];
      x -= (x >>> 1) & 0x55555555;
      x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
      x = (x + (x >>> 4)) & 0x0f0f0f0f;
      distance += Math.imul(x, 0x01010101) >>> 24;
    }
    distances[place] = distance;
  }
  return distances;
}

/** The same direction with length 1; null for a zero vector. @param {Float32Array} vector */
export function unit(vector) {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 && Number.isFinite(length) ? vector.map((value) => value / length) : null;
}

/** A direction in 8 bits, as base64url. @param {Float32Array} vector */
export function toInt8Text(vector) {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const bytes = Int8Array.from(vector, (value) => Math.round((value * 127) / largest));
  const text = String.fromCharCode(...new Uint8Array(bytes.buffer));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text int8 numbers in base64url @returns {Float32Array} */
export function fromInt8Text(text) {
  const bytes = Int8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) =>
    one.charCodeAt(0),
  );
  return Float32Array.from(bytes);
}
