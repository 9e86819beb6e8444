import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf, contentOf, START, stateOf } from "../../../src/lookalike/web/state.js";

/** @type {import("../../../src/lookalike/web/state.js").State} */
const FULL = {
  collection: "flowers & trees",
  view: "map",
  terms: [
    { kind: "id", id: "poppy/poppy 2*3#1.jpg", weight: 1 },
    { kind: "text", text: "id:daisy + 100 %", weight: -0.5 },
    { kind: "picture", vector: "a-_9", preview: "_-b", name: "Été ~1~.png", weight: 2.25 },
  ],
  filters: [
    { column: "label", op: "is", value: "a:b%3A" },
    { column: "year", op: "is", value: 3 },
    { column: "year", op: "is", value: "3" },
    { column: "tags", op: "has", value: "crane (bird)" },
    { column: "wi:dth", op: "between", value: [null, -1.5e-7] },
    { column: "height", op: "between", value: [0, 100] },
    { column: "label", op: "null", value: null },
    { column: "map", op: "inside", value: [-100000, 5, 30, -7, 100000, 20] },
  ],
  where: "width > 3 AND label LIKE '%a+b%' -- &q=id:x",
  item: "a/b?c=d&e.jpg",
  beside: "trees & flowers",
  color: "a,b & c",
  look: "0.5,-0.25,4",
  tier: "",
};

test("the start has an address of nothing", () => {
  assert.equal(addressOf(START), "#");
  assert.deepEqual(stateOf(""), START);
});

test("a state comes back from its address as it was", () => {
  assert.deepEqual(stateOf(addressOf(FULL)), FULL);
});

test("an address of a search by an item can be read", () => {
  const terms = [{ kind: /** @type {const} */ ("id"), id: "poppy/002.jpg", weight: 1 }];
  assert.equal(addressOf({ ...START, terms }), "#q=id:poppy/002.jpg");
  const less = [{ ...terms[0], weight: -2 }];
  assert.equal(addressOf({ ...START, collection: "photos", terms: less }), "#c=photos&q=-2*id:poppy/002.jpg");
});

test("what cannot be understood in an address is left out", () => {
  const hash =
    "#q=&q=rose&q=0*id:a&q=id:&q=x*id:b&f=&f=drop:label:x&f=is::x&f=between:width:a:b&f=is:label&z=1";
  assert.deepEqual(stateOf(hash), START);
});

test("the details that are open do not decide what the grid shows", () => {
  assert.equal(contentOf(FULL), contentOf({ ...FULL, item: "" }));
  assert.equal(contentOf(FULL), contentOf({ ...FULL, color: "label", look: "" }));
  assert.notEqual(contentOf(FULL), contentOf({ ...FULL, where: "" }));
});

test("what is a view's own stands in the address of that view only", () => {
  const own = { color: "label", look: "0,0,2", tier: "bytes" };
  assert.equal(addressOf({ ...START, ...own, view: "map" }), "#view=map&color=label&look=0,0,2");
  assert.equal(addressOf({ ...START, ...own, view: "duplicates" }), "#view=duplicates&tier=bytes");
  assert.equal(addressOf({ ...START, ...own }), "#");
});

test("random states survive the way through the address", () => {
  const letters = ["a", ":", "%", "*", "~", "&", "=", "+", " ", "/", "#", "é", "🌼", "'", '"', "-", "3"];
  let seed = 7;
  const random = (/** @type {number} */ below) => (seed = (seed * 48271) % 2147483647) % below;
  const text = () => Array.from({ length: 1 + random(6) }, () => letters[random(letters.length)]).join("");
  for (let round = 0; round < 500; round++) {
    /** @type {import("../../../src/lookalike/web/state.js").State} */
    const state = {
      ...START,
      collection: text(),
      terms: [
        { kind: "id", id: text(), weight: (1 + random(8)) / 4 },
        { kind: "text", text: text(), weight: -(1 + random(8)) / 4 },
        { kind: "picture", vector: "Zm8_-w", preview: "", name: text(), weight: 1 },
      ],
      filters: [{ column: text(), op: "has", value: text() }],
      where: text(),
      item: text(),
    };
    assert.deepEqual(stateOf(addressOf(state)), state);
  }
});
