import assert from "node:assert/strict";
import { test } from "node:test";

import { alike, toHost, weigh, withMarks, without, withTerm, wordsOf } from "../../../src/lookalike/web/terms.js";

/** @typedef {import("../../../src/lookalike/web/terms.js").Term} Term */
/** @type {Term} */
const ROSE = { kind: "id", id: "rose.jpg", weight: 1 };
/** @type {Term} */
const DAISY = { kind: "text", text: "daisy", weight: 1 };
/** @type {Term} */
const OWN = { kind: "picture", vector: "AQID", preview: "_w", name: "beach.jpg", weight: 1 };

test("words are looked for, and after a minus, avoided", () => {
  assert.deepEqual(wordsOf("  daisy in a pot "), { kind: "text", text: "daisy in a pot", weight: 1 });
  assert.deepEqual(wordsOf("- thorn"), { kind: "text", text: "thorn", weight: -1 });
  assert.equal(wordsOf(" - "), null);
});

test("a term that is there already is replaced in its place", () => {
  const less = /** @type {Term} */ ({ ...ROSE, weight: -1 });
  assert.deepEqual(withTerm([ROSE, DAISY], less), [less, DAISY]);
  assert.deepEqual(withTerm([ROSE], DAISY), [ROSE, DAISY]);
  assert.equal(alike(DAISY, { ...DAISY, text: "Daisy" }), true);
  assert.equal(alike(OWN, { ...OWN, vector: "AQIE" }), false);
});

test("a term is taken away", () => {
  assert.deepEqual(without([ROSE, DAISY, OWN], 1), [ROSE, OWN]);
});

test("weights go in quarters from a quarter to three, and are never zero", () => {
  const weights = [0.6, 0, -0, 9, -0.1, -2.2].map((weight) => weigh([DAISY, ROSE], 1, weight)[1].weight);
  assert.deepEqual(weights, [0.5, 0.25, 0.25, 3, -0.25, -2.25]);
  assert.equal(ROSE.weight, 1);
});

test("the host gets ids, words and vectors, and no preview", () => {
  assert.deepEqual([ROSE, DAISY, OWN].map(toHost), [
    { id: "rose.jpg", weight: 1 },
    { text: "daisy", weight: 1 },
    { vector_int8: "AQID", weight: 1 },
  ]);
});

test("two pictures more and two less are marks on the first term; fewer are a sum", () => {
  /** @type {import("../../../src/lookalike/web/contract.js").Term[]} */
  const terms = [
    { text: "sea", weight: 1 },
    { id: "a", weight: 1 },
    { id: "b", weight: 1 },
    { id: "c", weight: -1 },
    { id: "d", weight: -1 },
    { id: "e", weight: 2 },
  ];
  assert.deepEqual(withMarks(terms), {
    query: [terms[0], terms[5]],
    like: ["a", "b"],
    unlike: ["c", "d"],
  });
  assert.deepEqual(withMarks(terms.slice(0, 4)), { query: terms.slice(0, 4), like: [], unlike: [] });
});
