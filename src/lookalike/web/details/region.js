// Choosing a part of a picture with mouse, finger or keys.

import { element } from "../dom.js";
import { canvasOf, encoded } from "../pictures.js";

const LARGEST_PART_PX = 1024;
/** A part of a picture, in fractions of its sides. @typedef {{x: number, y: number, width: number,
 *   height: number}} Box */

const SMALLEST = 0.04;
const STEP = 0.04;

/**
 * Let the user draw a rectangle over a picture.
 * @param {HTMLElement} stage as large as the picture
 * @param {(box: Box) => void} onChosen
 */
export function createRegion(stage, onChosen) {
  const frame = element("div", { className: "frame", hidden: true });
  const surface = element("button", {
    type: "button",
    className: "surface",
    "aria-label":
      "Choose a part of the picture to search for: draw it, or press Enter for a frame, " +
      "move it with the arrow keys, resize it with Shift and the arrow keys, and press Enter again",
  });
  stage.append(frame, surface);
  /** @type {Box | null} */
  let box = null;
  /** @type {{x: number, y: number} | null} */
  let start = null;

  /** @param {Box | null} next */
  function draw(next) {
    box = next;
    frame.hidden = !box;
    stage.classList.toggle("framed", Boolean(box));
    if (!box) return;
    for (const [side, value] of Object.entries({
      left: box.x,
      top: box.y,
      width: box.width,
      height: box.height,
    })) {
      frame.style.setProperty(side, `${value * 100}%`);
    }
  }

  /** @param {PointerEvent} event */
  function pointOf(event) {
    const { left, top, width, height } = stage.getBoundingClientRect();
    return { x: clamp((event.clientX - left) / width), y: clamp((event.clientY - top) / height) };
  }

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = pointOf(event);
    surface.setPointerCapture(event.pointerId);
  });
  surface.addEventListener("pointermove", (event) => {
    if (start) draw(between(start, pointOf(event)));
  });
  surface.addEventListener("pointerup", () => {
    const drawn = start && box;
    start = null;
    if (drawn && drawn.width >= SMALLEST && drawn.height >= SMALLEST) onChosen(drawn);
    else draw(null);
  });
  surface.addEventListener("pointercancel", () => {
    start = null;
    draw(null);
  });
  surface.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (event.key === "Enter") {
      if (box) onChosen(box);
      else draw({ x: 0.25, y: 0.25, width: 0.5, height: 0.5 });
    } else if (event.key === "Escape" && box) draw(null);
    else if (move && box) draw(event.shiftKey ? sized(box, move) : moved(box, move));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return { clear: () => draw(null) };
}

/** @param {{x: number, y: number}} one @param {{x: number, y: number}} other @returns {Box} */
export function between(one, other) {
  const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  return { x, y, width: Math.abs(one.x - other.x), height: Math.abs(one.y - other.y) };
}

/** @param {Box} box @param {number[]} by @returns {Box} */
export function moved(box, [dx, dy]) {
  const [x, y] = [Math.min(1 - box.width, clamp(box.x + dx)), Math.min(1 - box.height, clamp(box.y + dy))];
  return { ...box, x, y };
}

/** @param {Box} box @param {number[]} by @returns {Box} */
export function sized(box, [dx, dy]) {
  const width = Math.min(1 - box.x, Math.max(SMALLEST, box.width + dx));
  return { ...box, width, height: Math.min(1 - box.y, Math.max(SMALLEST, box.height + dy)) };
}

/** @param {number} value */
function clamp(value) {
  return Math.min(1, Math.max(0, value));
}

/** Cut a part out of a picture that is shown. @param {HTMLImageElement} image @param {Box} box */
export function cut(image, box) {
  const [width, height] = [box.width * image.naturalWidth, box.height * image.naturalHeight];
  const scale = Math.min(1, LARGEST_PART_PX / Math.max(width, height));
  const canvas = canvasOf(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const [x, y] = [box.x * image.naturalWidth, box.y * image.naturalHeight];
  canvas.getContext("2d")?.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return encoded(canvas, 0.95);
}
