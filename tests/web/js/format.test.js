import assert from "node:assert/strict";
import { test } from "node:test";

import {
  amount,
  bytes,
  counted,
  fileOf,
  milliseconds,
  nameOf,
  number,
  sentence,
  strengthOf,
  titleOf,
} from "../../../src/lookalike/web/format.js";

test("an item is called by its label, else by its file", () => {
  assert.equal(nameOf({ id: "a/b.jpg", label: "rose" }), "rose");
  assert.equal(nameOf({ id: "a/b.jpg", label: null }), "b.jpg");
  assert.equal(fileOf("folder/"), "folder/");
});

test("numbers are grouped, and small ones keep their digits", () => {
  assert.deepEqual([1234567, 12.34, 0.12345].map(number), ["1,234,567", "12.3", "0.123"]);
  assert.equal(counted(1, "picture"), "1 picture");
  assert.equal(counted(2000, "picture"), "2,000 pictures");
});

test("sizes and durations are in units of their own", () => {
  assert.deepEqual([12, 4321, 98_765, 12_345_678].map(bytes), ["12 bytes", "4.3 kB", "99 kB", "12 MB"]);
  assert.deepEqual([3.14159, 44.4].map(milliseconds), ["3.1 ms", "44 ms"]);
});

test("a column's name becomes a title", () => {
  assert.equal(titleOf("taken_at"), "Taken at");
  assert.equal(titleOf("size_bytes"), "File size");
});

test("a number of a column has its unit, where that is known", () => {
  assert.equal(amount("size_bytes", 45_678), "46 kB");
  assert.equal(amount("width", 1200), "1,200 px");
  assert.equal(amount("stars", 4.5), "4.5");
});

test("a confidence is strong, fair or weak, or not known", () => {
  assert.deepEqual([1, 0.5, 0.49, 0.34, 0.33, 0].map(strengthOf), [
    "strong",
    "strong",
    "fair",
    "fair",
    "weak",
    "weak",
  ]);
  assert.deepEqual([null, undefined].map(strengthOf), [null, null]);
});

test("a message becomes a sentence", () => {
  assert.deepEqual(["the model has no word 'x'", "Gone.", ""].map(sentence), [
    "The model has no word 'x'.",
    "Gone.",
    "",
  ]);
});
