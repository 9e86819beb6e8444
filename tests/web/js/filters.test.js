import assert from "node:assert/strict";
import { test } from "node:test";

import { conditionOf, describe, matches, setRange, toggle } from "../../../src/lookalike/web/filters.js";

/** @typedef {import("../../../src/lookalike/web/contract.js").Filter} Filter */
/** @type {Filter} */
const ROSES = { column: "label", op: "is", value: "roses" };
/** @type {Filter} */
const TULIPS = { column: "label", op: "is", value: "tulips" };
/** @type {Filter} */
const WIDE = { column: "width", op: "between", value: [300, null] };

test("no filter and no condition is no SQL", () => {
  assert.equal(conditionOf([], "  "), "");
});

test("values of one column are alternatives, columns hold together", () => {
  assert.equal(
    conditionOf([ROSES, WIDE, TULIPS], ""),
    `("label" = 'roses' OR "label" = 'tulips') AND "width" >= 300`,
  );
});

test("every operation has its SQL", () => {
  /** @type {[Filter, string][]} */
  const cases = [
    [{ column: "n", op: "is", value: 3 }, `"n" = 3`],
    [{ column: "tags", op: "has", value: "daisy" }, `list_contains("tags", 'daisy')`],
    [{ column: "n", op: "between", value: [1, 2.5] }, `"n" BETWEEN 1 AND 2.5`],
    [{ column: "n", op: "between", value: [null, 2] }, `"n" <= 2`],
    [{ column: "label", op: "null", value: null }, `"label" IS NULL`],
  ];
  for (const [filter, sql] of cases) assert.equal(conditionOf([filter], ""), sql);
});

test("quotes in values and names are doubled", () => {
  const filter = /** @type {Filter} */ ({ column: 'a"b', op: "is", value: "it's' OR 1=1" });
  assert.equal(conditionOf([filter], ""), `"a""b" = 'it''s'' OR 1=1'`);
});

test("a person's condition stands in brackets that a comment cannot take away", () => {
  assert.equal(conditionOf([], "a = 1 OR b = 2"), "a = 1 OR b = 2");
  assert.equal(conditionOf([ROSES], "a = 1 -- x"), `"label" = 'roses' AND (a = 1 -- x\n)`);
});

test("a row is held against the same rules", () => {
  const row = { label: "roses", width: 300, tags: ["daisy", "pot"], year: null };
  assert.equal(matches([], row), true);
  assert.equal(matches([TULIPS, ROSES, WIDE], row), true);
  assert.equal(matches([TULIPS, WIDE], row), false);
  assert.equal(matches([{ column: "tags", op: "has", value: "pot" }], row), true);
  assert.equal(matches([{ column: "year", op: "null", value: null }], row), true);
  assert.equal(matches([{ column: "year", op: "between", value: [null, 3] }], row), false);
  assert.equal(matches([{ column: "width", op: "between", value: [301, 400] }], row), false);
});

test("a filter is added, and taken away by the same again", () => {
  assert.deepEqual(toggle([ROSES], TULIPS), [ROSES, TULIPS]);
  assert.deepEqual(toggle([ROSES, TULIPS], { ...ROSES }), [TULIPS]);
});

test("a column has one range", () => {
  const twice = setRange(setRange([ROSES], "width", [1, 2]), "width", [2, 3]);
  assert.deepEqual(twice, [ROSES, { column: "width", op: "between", value: [2, 3] }]);
  assert.deepEqual(setRange(twice, "width", null), [ROSES]);
});

test("a filter says what it is", () => {
  assert.equal(describe(ROSES), "roses");
  assert.equal(describe(WIDE), "Width from 300 px");
  assert.equal(describe({ ...WIDE, value: [1, 2] }), "Width 1 px to 2 px");
  assert.equal(describe({ column: "label", op: "null", value: null }), "Label: none");
});
