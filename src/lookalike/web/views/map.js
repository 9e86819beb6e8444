// The map: every picture at its place, near similar ones. Users can move around, colour and select.

import { lookOf, lookText, moved, toPixel, toPlace, WHOLE, zoomed } from "./camera.js";
import { palette } from "./colors.js";
import { element, iconButton } from "../dom.js";
import { same, toggle } from "../filters.js";
import { counted, titleOf } from "../format.js";
import { createLegend } from "./legend.js";
import { button } from "../messages.js";
import { MANY, nearest, pictured, plot } from "./plot.js";
import { createPointer } from "./pointer.js";
import { createSelection } from "./selection.js";
import { createThumbnails } from "./thumbnails.js";

/** @typedef {import("./camera.js").Look} Look */
/** @typedef {import("../contract.js").Filter} Filter */
/** @typedef {import("../state.js").State} State */

const STEP_PX = 80;
const PICTURE_PX = 52;
/** The picture under the pointer. */
const HOVERED_PX = 160;
/** Browsers limit how often the history may be written; once for each step of a wheel is too often. */
const KEEP_MS = 200;
/** In the address: not coloured by any column. */
const PLAIN = "-";
const NO_COLUMNS = ["id", "uri", "sha256", "mtime_ns", "map_x", "map_y"];

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const { collection, filters, where } = state;
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const columns = columnsOf(page.collections().find(({ name }) => name === collection));
  /** @param {State} state */
  const columnOf = ({ color }) => ([PLAIN, ...columns].includes(color) ? color : (columns[0] ?? PLAIN));
  /** @param {string} column @param {AbortSignal} [stop] */
  const colorsOf = (column, stop) =>
    views.mapColors(collection, { column: column === PLAIN ? "" : column, filters, where, signal: stop });
  const [{ places, method }, first] = await Promise.all([
    views.map(collection, { signal }),
    colorsOf(columnOf(state), signal),
  ]);

  const canvas = element("canvas", {
    tabIndex: 0,
    role: "application",
    "aria-label": `Map of ${counted(places.length / 2, "picture")}. Arrow keys move, plus and minus zoom, Enter selects all in view.`,
  });
  const faint = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const closing = new AbortController();
  let column = columnOf(state);
  let points = { places, codes: first.codes, colors: palette(first.type, faint) };
  let look = lookOf(state.look);
  /** The look in the address. */
  let kept = state.look;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let keeping;
  /** @type {number[]} */
  let rows = [];
  let hovered = -1;
  let frame = 0;

  const schedule = () => (frame ||= requestAnimationFrame(draw));
  /** @param {unknown} error @param {() => void} again */
  const fail = (error, again) => closing.signal.aborted || page.fail(error, again);
  const thumbnails = createThumbnails({
    load: (rows) => views.mapCards(collection, { rows, signal: closing.signal }),
    url: (card) => host.thumbnailUrl(collection, card),
    onLoaded: schedule,
    onError: (error) => fail(error, schedule),
  });
  const selection = createSelection({
    points: () => points,
    onChange: schedule,
    onShow: showInside,
    onSearch: searchBy,
  });
  const legend = createLegend((filter) => go({ filters: toggle(filters, filter) }));
  const choice = columnChoice(columns, column, (color) => go({ color }));

  function draw() {
    frame = 0;
    const context = canvas.getContext("2d");
    if (!context || !canvas.clientWidth) return; // it may be hidden when a picture arrives
    const ratio = canvas.width / canvas.clientWidth;
    plot(canvas, points, look, radiusOf(look.zoom, places.length / 2) * ratio);
    rows = pictured(canvas, points, look, PICTURE_PX * 1.08 * ratio, rows);
    thumbnails.want(hovered < 0 ? rows : [hovered, ...rows]);
    for (const row of rows) drawPicture(context, row, PICTURE_PX * ratio);
    if (hovered >= 0) drawPicture(context, hovered, HOVERED_PX * ratio);
    selection.paint(canvas, look, ratio);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} row @param {number} side */
  function drawPicture(context, row, side) {
    const image = thumbnails.imageOf(row);
    if (!image) return;
    const scale = side / Math.max(image.naturalWidth, image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const [x, y] = toPixel(look, canvas, places[2 * row], places[2 * row + 1]);
    context.fillStyle = points.colors[points.codes[row]];
    context.fillRect(x - width / 2 - 2, y - height / 2 - 2, width + 4, height + 4);
    context.drawImage(image, x - width / 2, y - height / 2, width, height);
  }

  /** @param {Look} next */
  function lookAt(next) {
    look = next;
    schedule();
    clearTimeout(keeping);
    keeping = setTimeout(keep, KEEP_MS);
  }

  function keep() {
    clearTimeout(keeping);
    kept = lookText(look);
    page.keep({ look: kept });
  }

  /** @param {Partial<State>} change */
  function go(change) {
    keep();
    page.go({ ...page.shown(), ...change });
  }

  /** @param {number[]} polygon @returns {Filter[]} */
  const within = (polygon) => [
    ...filters.filter(({ op }) => op !== "inside"),
    { column: "map", op: "inside", value: polygon },
  ];

  /** @param {number[]} polygon */
  function showInside(polygon) {
    go({ view: "explore", filters: within(polygon), item: "" });
  }

  /** Search by the mean of the pictures in a part of the map.
   * @param {number[]} polygon @param {number} count */
  async function searchBy(polygon, count) {
    try {
      const options = { filters: within(polygon), where, signal: closing.signal };
      const { vector_int8: vector } = await views.middle(collection, options);
      const name = `${counted(count, "picture")} of the map`;
      go({ terms: [{ kind: "picture", vector, preview: "", name, weight: 1 }], item: "" });
    } catch (error) {
      fail(error, () => searchBy(polygon, count));
    }
  }

  /** The corners of the view, to select it without a pointer. */
  function selectSeen() {
    const { width, height } = canvas;
    const corners = [[0, 0], [width, 0], [width, height], [0, height]]; // prettier-ignore
    selection.draw(corners.map(([x, y]) => toPlace(look, canvas, x, y)));
    selection.close();
  }

  /** @param {number} x @param {number} y */
  function rowAt(x, y) {
    return nearest(canvas, points, look, x, y, ((PICTURE_PX / 2) * canvas.width) / canvas.clientWidth);
  }

  /** @param {[number, number] | null} at */
  function hover(at) {
    const row = at ? rowAt(...at) : -1;
    if (row === hovered) return;
    hovered = row;
    schedule();
  }

  /** Open the details of the item at a pixel. @param {number} x @param {number} y */
  async function choose(x, y) {
    if (selection.isThere()) return selection.clear();
    const row = rowAt(x, y);
    if (row < 0) return;
    try {
      const { id } = await thumbnails.cardOf(row);
      go({ item: id });
    } catch (error) {
      fail(error, () => choose(x, y));
    }
  }

  /** @param {string} name */
  async function colorBy(name) {
    column = choice.value = name;
    try {
      const colors = await colorsOf(name, closing.signal);
      if (column === name) showColors(name, colors);
    } catch (error) {
      fail(error, () => colorBy(name));
    }
  }

  /** @param {string} name @param {import("../contract.js").Colors} colors */
  function showColors(name, colors) {
    points = { places, codes: colors.codes, colors: palette(colors.type, faint) };
    legend.show(name, colors, points.colors, (filter) => filters.some((one) => same(one, filter)));
    schedule();
  }

  const lasso = element("button", {
    type: "button",
    className: "action",
    "aria-pressed": "false",
    textContent: "Draw around",
    title: "Draw around pictures to select them; or hold Shift and draw",
  });
  const isSelecting = () => lasso.getAttribute("aria-pressed") === "true";
  lasso.addEventListener("click", () => lasso.setAttribute("aria-pressed", String(!isSelecting())));

  /** @param {number} factor */
  const zoom = (factor) => lookAt(zoomed(look, canvas, factor, canvas.width / 2, canvas.height / 2));
  /** @param {number} right @param {number} down */
  const move = (right, down) => lookAt(moved(look, canvas, right, down));
  createPointer(canvas, {
    isSelecting,
    onMove: move,
    onZoom: (factor, x, y) => lookAt(zoomed(look, canvas, factor, x, y)),
    onDraw: (line) => selection.draw(line.map(([x, y]) => toPlace(look, canvas, x, y))),
    onDrawn: selection.close,
    onClick: choose,
    onHover: hover,
  });
  onKeys(canvas, {
    ArrowLeft: () => move(STEP_PX, 0),
    ArrowRight: () => move(-STEP_PX, 0),
    ArrowUp: () => move(0, STEP_PX),
    ArrowDown: () => move(0, -STEP_PX),
    "+": () => zoom(1.5),
    "=": () => zoom(1.5),
    "-": () => zoom(1 / 1.5),
    0: () => lookAt(WHOLE),
    Enter: selectSeen,
  });

  const sizes = new ResizeObserver(() => {
    // Four times the pixels take four times as long, and many points have to move smoothly.
    const ratio = Math.min(places.length / 2 > MANY ? 1 : 2, devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (width && (canvas.width !== width || canvas.height !== height))
      Object.assign(canvas, { width, height });
    draw();
  });
  const tools = element(
    "div",
    { className: "map-tools" },
    element("label", {}, "Colour by ", choice),
    lasso,
    button({ text: "Select all in view", act: selectSeen }, "action"),
    button({ text: "Whole map", act: () => lookAt(WHOLE) }, "action"),
    iconButton("plus", "Zoom in (+)", () => zoom(1.5)),
    iconButton("minus", "Zoom out (−)", () => zoom(1 / 1.5)),
  );
  const stage = element("div", { className: "map-stage" }, canvas, selection.node);
  const node = element("div", { className: "map" }, tools, stage, legend.node);
  onKeys(node, { Escape: selection.clear }, selection.isThere);
  showColors(column, first);
  return {
    node,
    status: `${counted(places.length / 2, "picture")}, by ${method.toUpperCase()}: similar pictures are close together`,
    start: () => sizes.observe(canvas),
    update(state) {
      if (columnOf(state) !== column) colorBy(columnOf(state));
      if (state.look === kept) return;
      clearTimeout(keeping);
      [look, kept] = [lookOf(state.look), state.look];
      schedule();
    },
    close() {
      closing.abort();
      clearTimeout(keeping);
      sizes.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** @param {HTMLElement} node @param {Record<string, () => void>} acts by `event.key` @param {() => boolean} [when] */
function onKeys(node, acts, when = () => true) {
  node.addEventListener("keydown", (event) => {
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey || !when()) return;
    event.preventDefault();
    acts[event.key]();
  });
}

/** The columns to colour by, clusters and labels first.
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
    element("option", { value: PLAIN, textContent: "Nothing" }),
    ...columns.map((name) => element("option", { value: name, textContent: titleOf(name) })),
  );
  choice.value = chosen;
  choice.addEventListener("change", () => onChange(choice.value));
  return choice;
}

/** The radius of a point: small if there are many, larger when zoomed in. @param {number} zoom @param {number} count */
function radiusOf(zoom, count) {
  return Math.min(6, Math.max(1, (110 / Math.sqrt(count + 100)) * Math.sqrt(zoom)));
}
