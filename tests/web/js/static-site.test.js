import assert from "node:assert/strict";
import { test } from "node:test";

import { byConfidence } from "../../../src/lookalike/web/static/evidence.js";
import { facetsOf } from "../../../src/lookalike/web/static/facets.js";
import { forEach, once, onceEach } from "../../../src/lookalike/web/static/files.js";
import { Lexicon, UnknownWord } from "../../../src/lookalike/web/static/lexicon.js";
import { OwnWords } from "../../../src/lookalike/web/static/own-words.js";
import { ClassWords } from "../../../src/lookalike/web/static/class-words.js";
import { centralSquare, groundOf } from "../../../src/lookalike/web/static/resize.js";
import { spelledAlike } from "../../../src/lookalike/web/static/spelling.js";

/** @typedef {import("../../../src/lookalike/web/static/lexicon.js").Rules} Rules @type {Rules} */
const RULES = {
  terms: {
    cat: [
      [19, [0]],
      [0, [1, 2]],
    ],
    rose: [[0, [1]]],
    "rose hip": [[0, [2]]],
  },
  plurals: { mice: "mouse" },
  endings: [
    ["s", ""],
    ["es", ""],
  ],
  stop_words: ["a", "of"],
  most_words: 5,
};
const AXES = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
].map((axis) => Float32Array.from(axis));
const lexicon = new Lexicon(RULES, (number) => AXES[number]);
/** @param {string} text */
const rounded = (text) => Array.from(lexicon.vectorOf(text), (value) => Math.round(value * 1000) / 1000);

test("a word has the vector of its class", () => {
  assert.deepEqual(rounded("A ROSES!"), [0, 1, 0]);
});

test("the longest name is taken, and several are averaged", () => {
  assert.deepEqual(rounded("rose hip"), [0, 0, 1]);
  assert.deepEqual(rounded("rose, rose hips"), [0, 0.707, 0.707]);
});

test("meanings count as often as they are meant", () => {
  const side = Math.SQRT1_2 / Math.hypot(20, 1);

  assert.deepEqual(
    rounded("cat"),
    [20 / Math.hypot(20, 1), side, side].map((v) => Math.round(v * 1000) / 1000),
  );
});

test("an unknown word is named, and a text of none is none", () => {
  const wordOf = (/** @type {string} */ text) => {
    try {
      lexicon.vectorOf(text);
    } catch (error) {
      return /** @type {UnknownWord} */ (error).word;
    }
  };
  assert.deepEqual(["a rose of constructor", "of a", "", "a a a a a a"].map(wordOf), [
    "constructor",
    "",
    "",
    "",
  ]);
});

// Words of the collection, one of them taught, beside a model that reads any text.
const OWN = new OwnWords(
  {
    words: ["label", "taught"].map((origin, at) => ({
      ...{ word: ["sea", "rex"][at], origin, count: 2, said: "" },
      ...{ slope: 1, intercept: 0 },
    })),
    spellings: { sea: 0, rex: 1 },
    endings: [["s", ""]],
    stop_words: ["a", "the"],
    most_words: 50,
  },
  (number) => AXES[number],
);
const READER = {
  ...{ readsText: true, anyText: true, find: () => null, near: () => [], complete: () => [] },
  ...{ kindsAbove: () => [], presence: () => 1, vectorOf: async () => AXES[2] },
};
const originsIn = async (/** @type {string} */ text, /** @type {any} */ model) =>
  (await OWN.meaningOf(text, model)).words.map(({ word, origin }) => `${origin} ${word}`);

test("a sentence is read as a whole, though one of its words is a label", async () => {
  assert.deepEqual(await originsIn("A sea at night!", READER), ["model A sea at night!"]);
});

test("a label alone is the collection's", async () => {
  assert.deepEqual(await originsIn("Seas", READER), ["label sea"]);
});

test("a taught word is the collection's in any sentence, and the rest is read", async () => {
  assert.deepEqual(await originsIn("the rex on the beach", READER), ["taught rex", "model on the beach"]);
  assert.deepEqual(await originsIn("the red rex", READER), ["taught rex", "model red"]);
});

test("a model of any words that reads no sentences leaves labels to the collection", async () => {
  const words = { ...READER, readsText: false };

  assert.deepEqual(await originsIn("sea lion", words), ["label sea", "model lion"]);
});

test("a taught class is the model's, and a text of other words is its tower's", async () => {
  const tables = { ...OWN.tables, spellings: { rex: 1 } };
  const words = new ClassWords(tables, (number) => AXES[number], READER);
  const alone = new ClassWords(tables, (number) => AXES[number], null);

  assert.equal(words.readsText, true);
  assert.deepEqual([await words.vectorOf("the rexs"), await words.vectorOf("a beach")], [AXES[1], AXES[2]]);
  assert.throws(() => alone.vectorOf("a beach"), UnknownWord);
  assert.throws(() => words.vectorOf("the"), UnknownWord);
});

test("what is spelled alike is offered, the most alike first", () => {
  assert.deepEqual(spelledAlike("dasiy", ["rose", "daisy", "dais", "lorry"]), ["daisy", "dais"]);
});

test("values are counted: frequent ones first, then by the alphabet, null last", () => {
  const [facet] = facetsOf([{ name: "label", type: "text" }], () => ["b", "a", null, "b", "a", null, "c"]);

  assert.deepEqual(facet, {
    name: "label",
    type: "text",
    values: [
      { value: "a", count: 2 },
      { value: "b", count: 2 },
      { value: null, count: 2 },
      { value: "c", count: 1 },
    ],
    distinct: 4,
  });
});

test("each value of a list is counted, and a missing list is none", () => {
  const [facet] = facetsOf([{ name: "tags", type: "list" }], () => [["x", "y"], null, ["x"]]);

  assert.deepEqual(facet, {
    name: "tags",
    type: "list",
    values: [
      { value: "x", count: 2 },
      { value: "y", count: 1 },
    ],
    distinct: 2,
  });
});

test("numbers are counted in twenty bins, the last with its upper edge", () => {
  const [facet] = facetsOf([{ name: "n", type: "number" }], () => [0, 1, 1, null, 20]);
  const { min, max, bins, edges } = /** @type {any} */ (facet);

  assert.deepEqual([min, max, bins.length, edges.length], [0, 20, 20, 21]);
  assert.deepEqual([bins[0], bins[1], bins[19]], [1, 2, 1]);
});

test("numbers that are all equal, or not there, have one bin or none", () => {
  const facet = (/** @type {any[]} */ values) => facetsOf([{ name: "n", type: "number" }], () => values)[0];

  assert.deepEqual(facet([3, 3]), {
    name: "n",
    type: "number",
    min: 3,
    max: 3,
    bins: [2],
    edges: [2.5, 3.5],
  });
  assert.deepEqual(facet([null]), { name: "n", type: "number", min: null, max: null, bins: [], edges: [] });
});

test("identifiers and what is no plain value have no facet", () => {
  const columns = [
    { name: "id", type: "text" },
    { name: "nested", type: "other" },
  ];

  assert.deepEqual(
    facetsOf(/** @type {any} */ (columns), () => ["x"]),
    [],
  );
});

test("a picture of the right size stays as it is, without its alpha", () => {
  const rgba = Uint8Array.from({ length: 16 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
  const rgb = rgba.filter((_, i) => i % 4 !== 3);

  assert.deepEqual(centralSquare(rgba, 4, 4, 4, 1), rgb);
});

test("of a wide picture the middle is taken", () => {
  const column = (/** @type {number} */ x) => (x >= 4 && x < 8 ? 200 : 10);
  const rgba = Uint8Array.from({ length: 12 * 4 * 4 }, (_, i) => column(Math.floor(i / 4) % 12));

  // The kernel reaches over the edge of the square, as Pillow's does, so only the middle is all of one colour.
  assert.equal(centralSquare(rgba, 12, 4, 4, 1)[3 + 12], 200);
});

test("work is done once, and again after it failed", async () => {
  let calls = 0;
  const work = once(async () => {
    if (++calls === 1) throw new Error("first");
    return calls;
  });

  await assert.rejects(work(), /first/);
  assert.deepEqual([await work(), await work(), calls], [2, 2, 2]);
});

test("work is done once for each key", async () => {
  const keys = /** @type {string[]} */ ([]);
  const work = onceEach(async (key, more) => keys.push(key + more));
  await Promise.all([work("a", 1), work("b", 2), work("a", 3)]);

  assert.deepEqual(keys, ["a1", "b2"]);
});

test("every number comes, at most six at a time", async () => {
  let [now, most, done] = [0, 0, 0];
  await forEach(20, async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 1));
    now--;
    done++;
  });

  assert.deepEqual([done, most], [20, 6]);
});

test("what is white and transparent lies on grey, all else on white", () => {
  const clear = [255, 255, 255, 0];
  assert.equal(groundOf(new Uint8ClampedArray([...clear, 250, 255, 250, 255])), "#808080");
  assert.equal(groundOf(new Uint8ClampedArray([...clear, 200, 0, 0, 255])), "white");
  assert.equal(groundOf(new Uint8ClampedArray(clear)), "white");
});

test("hits of words are in the order of their confidence, a hundred at a time", () => {
  const confidences = Array.from({ length: 102 }, (_, i) => i / 200);

  const order = byConfidence([...confidences, null]);

  assert.deepEqual(order.slice(0, 2), [99, 98]);
  assert.deepEqual(order.slice(-3), [101, 100, 102]);
});
