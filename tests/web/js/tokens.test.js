// The tokens of texts for a text tower in the browser.
import assert from "node:assert/strict";
import { test } from "node:test";

import { withoutPadding } from "../../../src/lookalike/web/static/tokens.js";

test("texts are cut behind the first padding of the longest", () => {
  const rows = [
    [5, 0, 7, 1, 0, 0, 0],
    [5, 1, 0, 0, 0, 0, 0],
  ];

  assert.deepEqual(withoutPadding(rows, 0), [
    [5, 0, 7, 1, 0],
    [5, 1, 0, 0, 0],
  ]);
});

test("a text without padding stays whole", () => {
  assert.deepEqual(withoutPadding([[5, 7, 1]], 0), [[5, 7, 1]]);
});
