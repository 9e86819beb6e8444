// Divides pictures into rows that fill the width, each picture whole and in its own shape.

/** A row of the pictures `first` to `end` (not included), in pixels. @typedef {{first: number, end: number,
 *   top: number, height: number}} Row */

// Panoramas and strips are cropped to these shapes, width by height, to leave room for others.
const NARROWEST = 0.45;
const WIDEST = 3;
/** The shape assumed for pictures not loaded yet. */
export const SHAPE = 1.3;
// Rows are from half to twice the wanted height.
const STRETCH = 2;

/** The shape in which a picture is shown, width by height. @param {{width: number, height: number}} size */
export function shapeOf({ width, height }) {
  const shape = width > 0 && height > 0 ? width / height : 1;
  return Math.min(WIDEST, Math.max(NARROWEST, shape));
}

/**
 * Of all ways to divide the pictures, the rows whose heights are closest to the wanted one by ratio, as Knuth and
 * Plass break paragraphs into lines. Every row is full, except the last one if `ragged`.
 * @param {number[]} shapes width by height
 * @param {{width: number, gap: number, height: number, ragged: boolean}} options
 * @returns {Row[]}
 */
export function justify(shapes, { width, gap, height, ragged }) {
  const cost = new Float64Array(shapes.length + 1).fill(Infinity);
  const start = new Int32Array(shapes.length + 1);
  cost[0] = 0;
  for (let end = 1; end <= shapes.length; end++) {
    let shape = 0;
    for (let first = end - 1; first >= 0; first--) {
      shape += shapes[first];
      const full = (width - gap * (end - first - 1)) / shape;
      if (full < height / STRETCH && first < end - 1) break;
      const isShort = ragged && end === shapes.length && full > height;
      const total = cost[first] + (isShort ? 0 : Math.log(full / height) ** 2);
      if (total < cost[end]) [cost[end], start[end]] = [total, first];
    }
  }
  return rowsOf(shapes, start, { width, gap, height, ragged });
}

/** Where the pictures of a row are, from the left. @param {number[]} shapes @param {Row} row @param {number} gap */
export function placesOf(shapes, { first, end, height }, gap) {
  let left = 0;
  return shapes.slice(first, end).map((shape) => {
    const place = { left, width: shape * height };
    left += place.width + gap;
    return place;
  });
}

/** The estimated height of the rows of `count` pictures, before they are loaded.
 * @param {number} count @param {number} shape the mean of their shapes
 * @param {{width: number, gap: number, height: number}} options */
export function estimate(count, shape, { width, gap, height }) {
  const rows = Math.max(1, Math.round((count * (shape * height + gap)) / (width + gap)));
  return rows * (height + gap);
}

/** @param {number[]} shapes @param {Int32Array} start @param {{width: number, gap: number, height: number,
 *   ragged: boolean}} options @returns {Row[]} */
function rowsOf(shapes, start, { width, gap, height, ragged }) {
  const rows = [];
  for (let end = shapes.length; end > 0; end = start[end]) {
    const first = start[end];
    const shape = shapes.slice(first, end).reduce((sum, one) => sum + one, 0);
    const full = (width - gap * (end - first - 1)) / shape;
    const isShort = ragged && end === shapes.length;
    rows.push({
      first,
      end,
      top: 0,
      height: isShort ? Math.min(full, height) : Math.min(full, height * STRETCH),
    });
  }
  rows.reverse();
  let top = 0;
  for (const row of rows) {
    row.top = top;
    top += row.height + gap;
  }
  return rows;
}
