import assert from "node:assert/strict";
import { test } from "node:test";

import { cardsOf, sourceOf } from "../../../src/lookalike/web/sources.js";
import { START } from "../../../src/lookalike/web/state.js";

/** A host with 300 items, of which `matching` meet the filters, among them `left_out` of the query.
 * @param {number} matching @param {number} left_out */
function hostOf(matching, left_out) {
  /** @type {number[]} */
  const asked = [];
  const search = async (/** @type {string} */ _, /** @type {{k: number}} */ { k }) => {
    asked.push(k);
    const hits = Array.from({ length: Math.min(k, matching - left_out) }, (_, i) => ({ id: String(i) }));
    return { took_ms: 1, total: 300, matching, left_out, hits, chance: false };
  };
  return { asked, host: /** @type {any} */ ({ search }) };
}

/** @param {any} host */
const open = (host) =>
  sourceOf(
    host,
    { ...START, terms: [{ kind: "id", id: "a", weight: 1 }] },
    new AbortController().signal,
  );

test("what stands in the query is not counted as a hit that is yet to come", async () => {
  const { host, asked } = hostOf(150, 1);
  const source = await open(host);
  assert.deepEqual([source.total, source.compared, cardsOf(source).length], [149, 150, 100]);

  await source.load(1);
  assert.deepEqual([source.total, cardsOf(source).length, asked], [149, 149, [100, 1000]]);
});

test("a hundred hits are all there are where one of 101 was asked with", async () => {
  const source = await open(hostOf(101, 1).host);
  assert.equal(source.total, 100);
});
