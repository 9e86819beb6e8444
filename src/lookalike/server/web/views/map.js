// The map: every picture at its place, alike ones together; to move about, to colour, and to select from.

import { moved, toPixel, toPlace, zoomed } from "./camera.js";
import { palette } from "./colors.js";
import { element } from "../dom.js";
import { counted, titleOf } from "../format.js";
import { createLegend } from "./legend.js";
import { button } from "../messages.js";
import { nearest, pictured, plot } from "./plot.js";
import { simplified } from "../polygon.js";
import { createPointer } from "./pointer.js";

/** @typedef {import("./camera.js").Look} Look */
/** @typedef {import("../contract.js").Card} Card */

const WHOLE = { x: 0, y: 0, zoom: 1 };
const STEP_PX = 80;
const PICTURE_PX = 52;
const NO_COLUMNS = ["id", "uri", "sha256", "mtime_ns", "map_x", "map_y"];

/** Where each collection's map was left, and its colours. @type {Map<string, {look: Look, column: string}>} */
const left = new Map();

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const { collection, filters, where } = state;
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const columns = columnsOf(page.collections().find(({ name }) => name === collection));
  const kept = left.get(collection) ?? { look: WHOLE, column: columns[0] ?? "" };
  left.set(collection, kept);
  /** @param {string} column @param {AbortSignal} [stop] */
  const colorsOf = (column, stop) => views.mapColors(collection, { column, filters, where, signal: stop });
  const [{ places, method }, first] = await Promise.all([
    views.map(collection, { signal }),
    colorsOf(kept.column, signal),
  ]);

  const canvas = element("canvas", {
    tabIndex: 0,
    role: "img",
    "aria-label": `Map of ${counted(places.length / 2, "picture")}. Arrow keys move, plus and minus zoom.`,
  });
  const legend = createLegend();
  const faint = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  let points = { places, codes: first.codes, colors: palette(first.type, faint) };
  /** @type {Map<number, {card?: Card, image?: HTMLImageElement}>} */
  const pictures = new Map();
  /** @type {[number, number][]} */
  let drawn = [];
  let frame = 0;
  const closing = new AbortController();

  const schedule = () => (frame ||= requestAnimationFrame(draw));

  function draw() {
    frame = 0;
    const context = canvas.getContext("2d");
    if (!context || !canvas.width) return;
    const ratio = canvas.width / canvas.clientWidth;
    plot(canvas, points, kept.look, Math.round(radiusOf(kept.look.zoom, places.length / 2) * ratio));
    const rows = pictured(canvas, points, kept.look, PICTURE_PX * 1.15 * ratio);
    want(rows.filter((row) => !pictures.has(row)));
    for (const row of rows) drawPicture(context, row, PICTURE_PX * ratio);
    drawLasso(context, ratio);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} row @param {number} side */
  function drawPicture(context, row, side) {
    const image = pictures.get(row)?.image;
    if (!image?.complete || !image.naturalWidth) return;
    const scale = side / Math.max(image.naturalWidth, image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const [x, y] = toPixel(kept.look, canvas, places[2 * row], places[2 * row + 1]);
    context.fillStyle = points.colors[points.codes[row]];
    context.fillRect(x - width / 2 - 2, y - height / 2 - 2, width + 4, height + 4);
    context.drawImage(image, x - width / 2, y - height / 2, width, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} ratio */
  function drawLasso(context, ratio) {
    if (!drawn.length) return;
    const style = getComputedStyle(canvas);
    context.beginPath();
    for (const [x, y] of drawn) context.lineTo(...toPixel(kept.look, canvas, x, y));
    context.closePath();
    Object.assign(context, {
      strokeStyle: style.color,
      fillStyle: style.color,
      lineWidth: 2 * ratio,
      globalAlpha: 0.14,
    });
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
  }

  /** Ask for the pictures of these items, which are drawn when they come. @param {number[]} rows */
  async function want(rows) {
    if (!rows.length) return;
    for (const row of rows) pictures.set(row, {});
    try {
      const cards = await views.mapCards(collection, { rows, signal: closing.signal });
      rows.forEach((row, i) => {
        if (!cards[i].width) return;
        const image = element("img", { onload: schedule, src: host.thumbnailUrl(collection, cards[i]) });
        pictures.set(row, { card: cards[i], image });
      });
    } catch (error) {
      if (closing.signal.aborted) return;
      for (const row of rows) pictures.delete(row);
      page.fail(error, schedule);
    }
  }

  /** @param {Look} look */
  function look(look) {
    kept.look = look;
    schedule();
  }

  /** @param {number} factor */
  const zoom = (factor) => look(zoomed(kept.look, canvas, factor, canvas.width / 2, canvas.height / 2));

  /** Show the pictures within a line on the map. @param {[number, number][]} line */
  function select(line) {
    drawn = [];
    schedule();
    if (line.length < 3) return;
    const others = filters.filter(({ op }) => op !== "inside");
    const inside = { column: "map", op: /** @type {const} */ ("inside"), value: simplified(line) };
    page.go({ ...state, view: "explore", filters: [...others, inside], item: "" });
  }

  /** The corners of what is seen, to select it without a pointer. @returns {[number, number][]} */
  function corners() {
    const { width, height } = canvas;
    return [
      [0, 0],
      [width, 0],
      [width, height],
      [0, height],
    ].map(([x, y]) => toPlace(kept.look, canvas, x, y));
  }

  /** Open the details of the item at a pixel. @param {number} x @param {number} y */
  async function choose(x, y) {
    const row = nearest(canvas, points, kept.look, x, y, (PICTURE_PX / 2) * devicePixelRatio);
    if (row < 0) return;
    try {
      const known = pictures.get(row)?.card;
      const [card] = known
        ? [known]
        : await views.mapCards(collection, { rows: [row], signal: closing.signal });
      page.go({ ...state, item: card.id });
    } catch (error) {
      if (!closing.signal.aborted) page.fail(error, () => choose(x, y));
    }
  }

  /** @param {string} column */
  async function colorBy(column) {
    try {
      const colors = await colorsOf(column, closing.signal);
      kept.column = column;
      points = { places, codes: colors.codes, colors: palette(colors.type, faint) };
      legend.show(colors, points.colors);
      schedule();
    } catch (error) {
      if (!closing.signal.aborted) page.fail(error, () => colorBy(column));
    }
  }

  const lasso = element("button", {
    type: "button",
    className: "action",
    "aria-pressed": "false",
    textContent: "Select",
  });
  lasso.title = "Draw around pictures; or hold Shift and draw";
  lasso.addEventListener("click", () => lasso.setAttribute("aria-pressed", String(!isSelecting())));
  const isSelecting = () => lasso.getAttribute("aria-pressed") === "true";

  createPointer(canvas, {
    isSelecting,
    onMove: (right, down) => look(moved(kept.look, canvas, right, down)),
    onZoom: (factor, x, y) => look(zoomed(kept.look, canvas, factor, x, y)),
    onDraw(line) {
      drawn = line.map(([x, y]) => toPlace(kept.look, canvas, x, y));
      schedule();
    },
    onDrawn: () => select(drawn),
    onClick: choose,
  });
  canvas.addEventListener("keydown", (event) => {
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowLeft: () => look(moved(kept.look, canvas, STEP_PX, 0)),
      ArrowRight: () => look(moved(kept.look, canvas, -STEP_PX, 0)),
      ArrowUp: () => look(moved(kept.look, canvas, 0, STEP_PX)),
      ArrowDown: () => look(moved(kept.look, canvas, 0, -STEP_PX)),
      "+": () => zoom(1.5),
      "=": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      0: () => look(WHOLE),
      Enter: () => select(corners()),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  });

  const sizes = new ResizeObserver(() => {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (width && (canvas.width !== width || canvas.height !== height))
      Object.assign(canvas, { width, height });
    draw();
  });
  legend.show(first, points.colors);
  return {
    node: element(
      "div",
      { className: "map" },
      element(
        "div",
        { className: "map-tools" },
        element("label", {}, "Colour by ", columnChoice(columns, kept.column, colorBy)),
        lasso,
        button({ text: "Show what is seen", act: () => select(corners()) }, "action"),
        button({ text: "Whole map", act: () => look(WHOLE) }, "action"),
        sign("+", "Zoom in", () => zoom(1.5)),
        sign("−", "Zoom out", () => zoom(1 / 1.5)),
      ),
      canvas,
      legend.node,
    ),
    status: `${counted(places.length / 2, "picture")}, by ${method.toUpperCase()}: what is alike lies together`,
    start: () => sizes.observe(canvas),
    close() {
      closing.abort();
      sizes.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** What can be told apart by colour, the groups and labels first.
 * @param {import("../contract.js").Collection | undefined} collection */
function columnsOf(collection) {
  const all = (collection?.columns ?? []).filter(({ type }) => type === "text" || type === "number");
  const names = all.map(({ name }) => name).filter((name) => !NO_COLUMNS.includes(name));
  const first = ["cluster_name", "label"].filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name))];
}

/** @param {string[]} columns @param {string} chosen @param {(column: string) => void} onChange */
function columnChoice(columns, chosen, onChange) {
  const choice = element(
    "select",
    {},
    element("option", { value: "", textContent: "Nothing" }),
    ...columns.map((name) => element("option", { value: name, textContent: titleOf(name) })),
  );
  choice.value = chosen;
  choice.addEventListener("change", () => onChange(choice.value));
  return choice;
}

/** @param {string} text @param {string} label @param {() => void} act */
function sign(text, label, act) {
  const made = button({ text, act }, "action");
  made.setAttribute("aria-label", label);
  return made;
}

/** Small where there are many points, larger when they are near. @param {number} zoom @param {number} count */
function radiusOf(zoom, count) {
  return Math.min(6, Math.max(1, (110 / Math.sqrt(count + 100)) * Math.sqrt(zoom)));
}
