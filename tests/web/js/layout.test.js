import assert from "node:assert/strict";
import { test } from "node:test";

import { createExtent } from "../../../src/lookalike/web/extent.js";
import { estimate, justify, placesOf, shapeOf } from "../../../src/lookalike/web/layout.js";

const WANTED = { width: 1000, gap: 10, height: 200, ragged: false };

/** @param {number} count @returns {number[]} */
function shapes(count) {
  return Array.from({ length: count }, (_, i) => [1.5, 0.75, 1, 1.78, 0.5625][(i * 7 + (i >> 2)) % 5]);
}

test("every picture is in one row, in order", () => {
  const rows = justify(shapes(100), WANTED);
  assert.equal(rows[0].first, 0);
  assert.equal(rows.at(-1)?.end, 100);
  for (const [i, row] of rows.slice(1).entries()) assert.equal(row.first, rows[i].end);
});

test("every row ends at the edge, the last one too", () => {
  const all = shapes(100);
  for (const row of justify(all, WANTED)) {
    const last = placesOf(all, row, 10).at(-1);
    assert.ok(Math.abs((last?.left ?? 0) + (last?.width ?? 0) - 1000) < 1e-6);
  }
});

test("heights are near the wanted one, and rows lie below each other with the gap", () => {
  const rows = justify(shapes(100), WANTED);
  for (const { height } of rows) assert.ok(height > 160 && height < 250, String(height));
  for (const [i, row] of rows.slice(1).entries()) {
    assert.ok(Math.abs(row.top - rows[i].top - rows[i].height - 10) < 1e-9);
  }
});

test("no other way to cut has heights closer to the wanted one", () => {
  const all = shapes(11);
  /** @param {number[]} cuts */
  const cost = (cuts) => {
    let sum = 0;
    for (let i = 1; i < cuts.length; i++) {
      const shape = all.slice(cuts[i - 1], cuts[i]).reduce((a, b) => a + b, 0);
      sum += Math.log((1000 - 10 * (cuts[i] - cuts[i - 1] - 1)) / shape / 200) ** 2;
    }
    return sum;
  };
  let best = Infinity;
  for (let mask = 0; mask < 1 << 10; mask++) {
    const inner = Array.from({ length: 10 }, (_, i) => i + 1).filter((i) => mask & (1 << (i - 1)));
    best = Math.min(best, cost([0, ...inner, 11]));
  }
  const found = justify(all, WANTED);
  assert.ok(Math.abs(cost([0, ...found.map((row) => row.end)]) - best) < 1e-9);
});

test("the last row of a ragged end is not blown up", () => {
  const [row] = justify([1, 1], { ...WANTED, ragged: true });
  assert.equal(row.height, 200);
  assert.deepEqual(placesOf([1, 1], row, 10), [
    { left: 0, width: 200 },
    { left: 210, width: 200 },
  ]);
});

test("a lone picture in a full row is at most twice the wanted height", () => {
  assert.equal(justify([1], WANTED)[0].height, 400);
  assert.deepEqual(justify([], WANTED), []);
});

test("extreme shapes are cut, and unknown ones are squares", () => {
  assert.equal(shapeOf({ width: 9000, height: 100 }), 3);
  assert.equal(shapeOf({ width: 10, height: 100 }), 0.45);
  assert.equal(shapeOf({ width: 0, height: 0 }), 1);
});

test("a guess is near what the rows turn out to be", () => {
  const all = shapes(100);
  const mean = all.reduce((a, b) => a + b, 0) / 100;
  const rows = justify(all, WANTED);
  const last = rows[rows.length - 1];
  const real = last.top + last.height + 10;
  assert.ok(Math.abs(estimate(100, mean, WANTED) / real - 1) < 0.1);
});

test("blocks are found by their distance from the top, before and after a correction", () => {
  const extent = createExtent(10_000, () => 100);
  assert.equal(extent.total(), 1_000_000);
  assert.deepEqual([-5, 0, 99, 100, 555_555, 2e6].map(extent.at), [0, 0, 0, 1, 5555, 9999]);
  assert.equal(extent.set(3, 250), 150);
  assert.equal(extent.top(3), 300);
  assert.equal(extent.top(4), 550);
  assert.equal(extent.at(549), 3);
  assert.equal(extent.total(), 1_000_150);
});
