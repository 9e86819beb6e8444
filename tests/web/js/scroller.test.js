import assert from "node:assert/strict";
import { test } from "node:test";

import { stretched } from "../../../src/lookalike/web/scroller.js";

const [PICTURES, BROWSER] = [200_000_000, 12_000_000];

test("near both ends a pixel of the scroll bar is a pixel of the pictures", () => {
  assert.equal(stretched(0, BROWSER, PICTURES), 0);
  assert.equal(stretched(900_000, BROWSER, PICTURES), 900_000);
  assert.equal(stretched(BROWSER - 300, BROWSER, PICTURES), PICTURES - 300);
  assert.equal(stretched(BROWSER, BROWSER, PICTURES), PICTURES);
});

test("the middle is the middle, and the way back is the same way", () => {
  assert.equal(stretched(BROWSER / 2, BROWSER, PICTURES), PICTURES / 2);
  for (const place of [0, 1_000_000, 3_456_789, 11_999_000]) {
    assert.ok(Math.abs(stretched(stretched(place, BROWSER, PICTURES), PICTURES, BROWSER) - place) < 1e-6);
  }
});

test("what fits is not stretched", () => {
  for (const place of [0, 1_500_000, 5_000_000]) assert.equal(stretched(place, 5_000_000, 5_000_000), place);
});
