// Pointer gestures on a canvas: drag, pinch, wheel, draw a line, click.

/** A shorter movement still counts as a click. */
const STILL_PX = 4;
/** One step of a wheel is 100, of a touchpad only a few. */
const WHEEL = 0.0022;

/**
 * Everything is in canvas pixels, which may be finer than the page's.
 * @param {HTMLCanvasElement} canvas
 * @param {{isSelecting: () => boolean, onMove: (right: number, down: number) => void,
 *   onZoom: (factor: number, x: number, y: number) => void, onDraw: (line: [number, number][]) => void,
 *   onDrawn: () => void, onClick: (x: number, y: number) => void,
 *   onHover: (at: [number, number] | null) => void}} acts `onHover` is only called for a mouse, with null when it leaves
 */
export function createPointer(canvas, { isSelecting, onMove, onZoom, onDraw, onDrawn, onClick, onHover }) {
  /** The fingers that are down, by their pointer. @type {Map<number, [number, number]>} */
  const down = new Map();
  /** @type {[number, number][]} */
  let line = [];
  let isDrawing = false;
  let way = 0;

  /** @param {MouseEvent} event @returns {[number, number]} */
  function pixelOf(event) {
    const { left, top, width } = canvas.getBoundingClientRect();
    const ratio = canvas.width / width;
    return [(event.clientX - left) * ratio, (event.clientY - top) * ratio];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, pixelOf(event));
    if (down.size > 1) return;
    way = 0;
    isDrawing = isSelecting() || event.shiftKey;
    line = [pixelOf(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? onHover(pixelOf(event)) : undefined;
    const now = pixelOf(event);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    way += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (other) {
      const factor = distance(now, other) / Math.max(1, distance(before, other));
      onZoom(factor, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (isDrawing) {
      line.push(now);
      onDraw(line);
    } else {
      onMove(now[0] - before[0], now[1] - before[1]);
    }
  });
  canvas.addEventListener("pointerleave", () => onHover(null));
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      const { pointerId } = /** @type {PointerEvent} */ (event);
      const at = down.get(pointerId);
      if (!at || !down.delete(pointerId) || down.size) return;
      if (isDrawing) onDrawn();
      else if (end === "pointerup" && way < STILL_PX) onClick(...at);
      isDrawing = false;
    });
  }
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode ? 30 : 1;
      onZoom(Math.exp(-event.deltaY * lines * WHEEL), ...pixelOf(event));
    },
    { passive: false },
  );
}

/** @param {[number, number]} one @param {[number, number]} other */
function distance(one, other) {
  return Math.hypot(one[0] - other[0], one[1] - other[1]);
}
