import assert from "node:assert/strict";
import { test } from "node:test";

import {
  fromInt8Text,
  hamming,
  parseVectors,
  toInt8Text,
  unit,
  VectorSet,
} from "../../../src/lookalike/web/static/vectors.js";

/** Numbers between -1 and 1, always the same. @param {number} seed */
function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
}

/** A file as docs/site.md lays it out. @param {number} first @param {number[][]} rows @param {number[]} scales */
function fileOf(first, rows, scales) {
  const buffer = new ArrayBuffer(32 + 4 * rows.length + rows.length * rows[0].length);
  const view = new DataView(buffer);
  "LKLV".split("").forEach((letter, i) => view.setUint8(i, letter.charCodeAt(0)));
  view.setUint16(4, 1, true);
  view.setUint16(6, 1, true);
  view.setUint32(8, rows.length, true);
  view.setUint32(12, rows[0].length, true);
  view.setBigUint64(16, BigInt(first), true);
  scales.forEach((scale, i) => view.setFloat32(32 + 4 * i, scale, true));
  new Int8Array(buffer, 32 + 4 * rows.length).set(rows.flat());
  return buffer;
}

/** Groups of alike vectors, as pictures of a few kinds of things are. @param {number} count @param {number} dim */
function grouped(count, dim) {
  const next = random(7);
  const vector = () => Float32Array.from({ length: dim }, next);
  const kinds = Array.from({ length: 40 }, vector);
  return Array.from({ length: count }, (_, i) => {
    const noise = vector();
    return /** @type {Float32Array} */ (unit(kinds[i % 40].map((value, d) => value + 1.2 * noise[d])));
  });
}

/** @param {Float32Array[]} vectors */
function setOf(vectors) {
  const set = new VectorSet(vectors.length, new Float32Array(vectors[0].length));
  vectors.forEach((vector, first) => {
    const rows = fromInt8Text(toInt8Text(vector));
    const scale = 1 / Math.hypot(...rows);
    set.add(parseVectors(fileOf(first, [[...rows]], [scale])));
  });
  return set;
}

test("a file of vectors is read back", () => {
  const file = parseVectors(
    fileOf(
      3000,
      [
        [127, -5, 0],
        [1, 2, -128],
      ],
      [0.5, 0.25],
    ),
  );

  assert.deepEqual(
    { ...file, scales: [...file.scales], rows: [...file.rows] },
    { first: 3000, count: 2, dim: 3, scales: [0.5, 0.25], rows: [127, -5, 0, 1, 2, -128] },
  );
});

test("other bytes are no file of vectors", () => {
  const cut = fileOf(0, [[1, 2, 3]], [1]).slice(0, -1);
  const later = fileOf(0, [[1, 2, 3]], [1]);
  new DataView(later).setUint16(4, 2, true);

  assert.throws(() => parseVectors(new ArrayBuffer(0)), /does not start with LKLV/);
  assert.throws(
    () => parseVectors(new TextEncoder().encode("<!doctype html><html>not found</html>").buffer),
    /LKLV/,
  );
  assert.throws(() => parseVectors(cut), /1 vectors of 3 numbers do not fit 38 bytes/);
  assert.throws(() => parseVectors(later), /version 2/);
});

test("files that do not fit together are refused", () => {
  const set = new VectorSet(1, new Float32Array(3));

  assert.throws(() => set.add(parseVectors(fileOf(1, [[1, 2, 3]], [1]))), /do not fit together/);
  assert.throws(() => set.add(parseVectors(fileOf(0, [[1, 2]], [1]))), /do not fit together/);
});

test("the distance of bits is the number of those that differ", () => {
  const bits = Uint32Array.from([0, 0, 0xffffffff, 0xffffffff, 0x80000001, 5]);
  const query = Uint32Array.from([0, 1]);

  assert.deepEqual([...hamming(bits, query, 2, Uint32Array.from([0, 1, 2]))], [1, 63, 3]);
});

test("a bit says whether a number is above the center", () => {
  const set = new VectorSet(1, Float32Array.from([0.1, 0.1, -0.5]));

  assert.deepEqual([...set.bitsOf([0.2, 0.1, -0.4], 1)], [0b101]);
});

test("an item is its own nearest neighbour, with a score of 1", () => {
  const set = setOf(grouped(200, 64));
  const [{ row, score }] = set.nearest(set.vectorOf(17), 1);

  assert.equal(row, 17);
  assert.ok(Math.abs(score - 1) < 1e-5, String(score));
});

test("among given rows only these are found, the best first", () => {
  const set = setOf(grouped(200, 64));
  const found = set.nearest(set.vectorOf(17), 10, Uint32Array.from([3, 57, 97]));

  assert.deepEqual(
    found.map(({ row }) => row).sort((a, b) => a - b),
    [3, 57, 97],
  );
  assert.deepEqual(
    found.map(({ score }) => score),
    found.map(({ score }) => score).sort((a, b) => b - a),
  );
});

test("equal items keep their order", () => {
  const [one] = grouped(1, 8);
  const set = setOf([one, one, one]);

  assert.deepEqual(
    set.nearest(set.vectorOf(2), 3).map(({ row }) => row),
    [0, 1, 2],
  );
});

test("two passes find at least 97 % of the ten nearest that comparing all floats finds", () => {
  const vectors = grouped(8000, 256);
  const set = setOf(vectors);
  let found = 0;
  for (let query = 0; query < 40; query++) {
    const wanted = vectors[query * 199];
    const exact = vectors
      .map((vector, row) => ({ row, score: vector.reduce((sum, value, d) => sum + value * wanted[d], 0) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, 10)
      .map(({ row }) => row);
    const rows = new Set(set.nearest(wanted, 10).map(({ row }) => row));
    found += exact.filter((row) => rows.has(row)).length;
  }

  assert.ok(found >= 0.97 * 400, `${found} of 400`);
});

test("a direction survives being written as text", () => {
  const [vector] = grouped(1, 1280);
  const back = /** @type {Float32Array} */ (unit(fromInt8Text(toInt8Text(vector))));

  assert.match(toInt8Text(vector), /^[\w-]{1707}$/);
  assert.ok(vector.reduce((sum, value, d) => sum + value * back[d], 0) > 0.9999);
});

test("what has no length has no direction", () => {
  assert.equal(unit(new Float32Array(3)), null);
  assert.equal(unit(Float32Array.from([1, Infinity])), null);
  assert.deepEqual(unit(Float32Array.from([0, -2])), Float32Array.from([0, -1]));
});
