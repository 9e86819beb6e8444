import assert from "node:assert/strict";
import { test } from "node:test";

import { conditionOf, matches } from "../../../src/lookalike/web/filters.js";
import { contains, insideSql, UNITS } from "../../../src/lookalike/web/polygon.js";
import { simplified } from "../../../src/lookalike/web/views/outline.js";
import {
  lookOf,
  lookText,
  moved,
  toPixel,
  toPlace,
  WHOLE,
  zoomed,
} from "../../../src/lookalike/web/views/camera.js";
import { FILTERED, OTHERS, palette, scaleColor } from "../../../src/lookalike/web/views/colors.js";
import { nearest, pictured } from "../../../src/lookalike/web/views/plot.js";
import { createThumbnails } from "../../../src/lookalike/web/views/thumbnails.js";

const SQUARE = [0, 0, 10, 0, 10, 10, 0, 10];
// A U: what lies between its arms is outside.
const NOTCHED = [0, 0, 30, 0, 30, 30, 20, 30, 20, 10, 10, 10, 10, 30, 0, 30];

test("a polygon contains what is inside, also where it is hollow", () => {
  assert.deepEqual(
    [
      [5, 5],
      [-1, 5],
      [11, 5],
      [5, 11],
    ].map(([x, y]) => contains(SQUARE, x, y)),
    [true, false, false, false],
  );
  assert.deepEqual(
    [
      [5, 20],
      [15, 20],
      [25, 20],
      [15, 5],
    ].map(([x, y]) => contains(NOTCHED, x, y)),
    [true, false, true, true],
  );
});

test("a polygon that crosses itself has a hole where it lies twice", () => {
  const star = [0, 100, 59, -81, -95, 31, 95, 31, -59, -81];
  assert.equal(contains(star, 0, 0), false);
  assert.equal(contains(star, 0, 80), true);
});

test("no corners contain nothing", () => {
  assert.equal(contains([], 0, 0), false);
  assert.equal(insideSql([]), "false");
  assert.equal(insideSql([0, 0, 10, 0]), "false");
});

test("the SQL of a polygon asks where a ray crosses its edges", () => {
  const right = "(map_y > 0 AND map_y <= 0.0001 AND map_x < 0 * map_y + 0.0001)";
  const left = "(map_y > 0 AND map_y <= 0.0001 AND map_x < 0 * map_y + 0)";
  assert.equal(insideSql(SQUARE), `(${right} <> ${left})`);
});

test("a filter by a polygon holds for rows by their places", () => {
  const filter = { column: "map", op: /** @type {const} */ ("inside"), value: NOTCHED.map((n) => n * 1000) };
  assert.equal(matches([filter], { map_x: 0.05, map_y: 0.2 }), true);
  assert.equal(matches([filter], { map_x: 0.15, map_y: 0.2 }), false);
});

test("the condition of the longest line that is drawn fits into an address", () => {
  const circle = Array.from(
    { length: 500 },
    (_, i) =>
      /** @type {[number, number]} */ ([Math.cos(i / 79.6) * 0.7333333, Math.sin(i / 79.6) * 0.61111111]),
  );
  const value = simplified(circle);
  assert.equal(value.length, 56);
  assert.ok(conditionOf([{ column: "map", op: "inside", value }], "").length < 3500);
  for (const [x, y] of [
    [0, 0],
    [0.6, 0],
    [0, -0.55],
  ])
    assert.equal(contains(value, x * UNITS, y * UNITS), true);
  for (const [x, y] of [
    [0.8, 0],
    [0, 0.7],
    [0.7, 0.5],
  ])
    assert.equal(contains(value, x * UNITS, y * UNITS), false);
});

test("a line with few corners stays as it is drawn", () => {
  assert.deepEqual(
    simplified([
      [0, 0],
      [0.5, 0.25],
      [-1, 1],
    ]),
    [0, 0, 50000, 25000, -100000, 100000],
  );
});

const SIZE = { width: 1000, height: 500 };

test("a pixel and its place belong together", () => {
  const look = { x: 0.2, y: -0.4, zoom: 3 };
  const [x, y] = toPlace(look, SIZE, 123, 456);
  const [left, top] = toPixel(look, SIZE, x, y);
  assert.ok(Math.hypot(left - 123, top - 456) < 1e-9);
  assert.deepEqual(toPixel(look, SIZE, 0.2, -0.4), [500, 250]);
});

test("what is under the pointer stays there while it is zoomed", () => {
  const look = { x: 0.2, y: -0.4, zoom: 3 };
  const closer = zoomed(look, SIZE, 2, 100, 400);
  assert.equal(closer.zoom, 6);
  const [before, after] = [toPlace(look, SIZE, 100, 400), toPlace(closer, SIZE, 100, 400)];
  assert.ok(Math.hypot(before[0] - after[0], before[1] - after[1]) < 1e-9);
  assert.equal(zoomed(look, SIZE, 1e9, 0, 0).zoom, 2000);
});

test("the map moves with the hand", () => {
  const look = { x: 0, y: 0, zoom: 1 };
  const [x, y] = toPixel(moved(look, SIZE, 30, -20), SIZE, 0, 0);
  assert.ok(Math.hypot(x - 530, y - 230) < 1e-9);
});

test("numbers are coloured from one end of the scale to the other", () => {
  assert.deepEqual([scaleColor(0), scaleColor(1), scaleColor(7)], ["#3b4cc0", "#d9480f", "#d9480f"]);
  assert.equal(scaleColor(0.125), "#2d6ebb");
  assert.equal(palette("number", "#eeeeee")[OTHERS - 1], "#d9480f");
});

test("values have colours of their own, and what is filtered out is faint", () => {
  const colors = palette("text", "#eeeeee");
  assert.equal(new Set(colors.slice(0, 12)).size, 12);
  assert.equal(colors[FILTERED], "#eeeeee");
  assert.equal(new Set(palette("none", "#eeeeee").slice(0, OTHERS)).size, 1);
});

const points = {
  places: Float32Array.of(0, 0, 0.01, 0, 0.5, 0.5, -0.5, 0.5),
  codes: Uint8Array.of(0, 0, 0, FILTERED),
  colors: palette("none", "#eeeeee"),
};

test("of points that are near each other the first is pictured, and none that is filtered out", () => {
  const look = { x: 0, y: 0, zoom: 1 };
  assert.deepEqual(pictured(SIZE, points, look, 50, []), [0, 2]);
  assert.deepEqual(pictured(SIZE, points, { ...look, zoom: 100 }, 50, []), [0, 1]);
});

test("a point that is pictured stays so", () => {
  assert.deepEqual(pictured(SIZE, points, { x: 0, y: 0, zoom: 1 }, 50, [1]), [1, 2]);
});

test("no two pictures lie over each other", () => {
  const places = Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i * i) * 0.9);
  const many = { places, codes: new Uint8Array(1000), colors: [] };
  const look = { x: 0, y: 0, zoom: 1 };
  const shown = pictured(SIZE, many, look, 40, []).map((i) =>
    toPixel(look, SIZE, places[2 * i], places[2 * i + 1]),
  );
  assert.ok(shown.length > 20);
  for (const [i, [x, y]] of shown.entries()) {
    for (const [otherX, otherY] of shown.slice(i + 1)) {
      assert.ok(Math.abs(x - otherX) >= 40 || Math.abs(y - otherY) >= 40);
    }
  }
});

test("a look comes back from the address as it was, and one that makes no sense is the whole map", () => {
  assert.equal(lookText({ x: 0.123456, y: -0.5, zoom: 12.3456 }), "0.1235,-0.5,12.35");
  assert.deepEqual(lookOf("0.1235,-0.5,12.35"), { x: 0.1235, y: -0.5, zoom: 12.35 });
  assert.equal(lookText(WHOLE), "");
  for (const text of ["", "1,2", "a,b,c", "0,0,Infinity"]) assert.deepEqual(lookOf(text), WHOLE);
  assert.deepEqual(lookOf("99,0,1e9"), { x: 2, y: 0, zoom: 2000 });
});

test("a click takes the nearest point within reach", () => {
  const look = { x: 0, y: 0, zoom: 1 };
  assert.equal(nearest(SIZE, points, look, 502, 250, 20), 1);
  assert.equal(nearest(SIZE, points, look, 800, 250, 20), -1);
});

test("of the pictures on the map those that were seen last are kept, a thousand of them", async () => {
  /** @type {number[]} */
  const asked = [];
  const thumbnails = createThumbnails({
    load: async (rows) => {
      asked.push(...rows);
      return rows.map((row) => ({ id: `${row}`, label: null, width: 0, height: 0, v: "" }));
    },
    url: () => "",
    onLoaded: () => {},
    onError: assert.ifError,
  });
  const see = async (/** @type {number} */ first) => {
    thumbnails.want(Array.from({ length: 100 }, (_, i) => first + i));
    await new Promise(setImmediate);
  };
  for (let first = 0; first < 1000; first += 100) await see(first);
  await see(0);
  await see(1000);
  assert.equal(asked.length, 1100);
  assert.equal((await thumbnails.cardOf(0)).id, "0");
  assert.equal(asked.length, 1100);
  assert.equal((await thumbnails.cardOf(100)).id, "100");
  assert.equal(asked.length, 1101);
});
