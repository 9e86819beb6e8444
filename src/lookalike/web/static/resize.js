// Resizes pixels for the network with Pillow's arithmetic (`Image.resize` with BICUBIC and a box), so that a
// picture gets the same vector here as in Python.

const SUPPORT = 2;
const A = -0.5;
// A clamped array rounds halves to even; Pillow rounds them up.
const HALF_UP = 1e-6;

/**
 * The central square of a picture, `crop` times its shorter side, as RGB of size x size x 3 bytes.
 * @param {Uint8ClampedArray | Uint8Array} rgba of an opaque picture @param {number} width
 * @param {number} height @param {number} size @param {number} crop @returns {Uint8Array}
 */
export function centralSquare(rgba, width, height, size, crop) {
  const side = Math.min(width, height) * crop;
  const across = weightsOf(width, (width - side) / 2, side, size);
  const down = weightsOf(height, (height - side) / 2, side, size);
  const [top, bottom] = [down[0].first, down[size - 1].first + down[size - 1].weights.length];

  // Rows first, to 8 bits as in Pillow, and only those that the columns need.
  const narrow = new Uint8ClampedArray((bottom - top) * size * 3);
  for (let y = top, out = 0; y < bottom; y++) {
    for (const { first, weights } of across) {
      let [r, g, b] = [HALF_UP, HALF_UP, HALF_UP];
      for (let i = 0, at = (y * width + first) * 4; i < weights.length; i++, at += 4) {
        r += weights[i] * rgba[at];
        g += weights[i] * rgba[at + 1];
        b += weights[i] * rgba[at + 2];
      }
      narrow[out++] = r;
      narrow[out++] = g;
      narrow[out++] = b;
    }
  }
  const square = new Uint8ClampedArray(size * size * 3);
  const stride = size * 3;
  for (let y = 0, out = 0; y < size; y++) {
    const { first, weights } = down[y];
    for (let x = 0; x < stride; x++) {
      let sum = HALF_UP;
      for (let i = 0, at = (first - top) * stride + x; i < weights.length; i++, at += stride) {
        sum += weights[i] * narrow[at];
      }
      square[out++] = sum;
    }
  }
  return new Uint8Array(square.buffer);
}

/**
 * For each of `size` pixels: which of the `length` pixels of a line it is made from, and with what weights.
 * When a line shrinks, the kernel widens with it (antialiasing).
 * @param {number} length @param {number} start @param {number} extent @param {number} size
 */
function weightsOf(length, start, extent, size) {
  const scale = extent / size;
  const spread = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const center = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - SUPPORT * spread + 0.5));
    const end = Math.min(length, Math.trunc(center + SUPPORT * spread + 0.5));
    const raw = Float64Array.from({ length: end - first }, (_, i) =>
      bicubic((first + i - center + 0.5) / spread),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return { first, weights: raw.map((weight) => weight / sum) };
  });
}

/** Keys, Cubic convolution interpolation, 1981, with a = -0.5. @param {number} x */
function bicubic(x) {
  x = Math.abs(x);
  if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
}

/** The ground for a transparent picture: white, or grey if the picture is so light that it would vanish, as in
 * images/modes.py. @param {Uint8ClampedArray} rgba */
export function groundOf(rgba) {
  let [sum, count] = [0, 0];
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at + 3] < 128) continue;
    sum += Math.min(rgba[at], rgba[at + 1], rgba[at + 2]);
    count++;
  }
  return sum > 224 * count ? "#808080" : "white";
}
