// Resizes pixels for the network with Pillow's arithmetic (`Image.resize` with a box), so that a picture gets the
// same vector here as in Python.

/**
 * @typedef {"bicubic" | "bilinear" | "lanczos" | "nearest"} Interpolation
 * @typedef {{first: number, weights: Float64Array}[]} Line for each pixel: what it is made from, with what weights
 * @typedef {{size_px: number, crop: number, resize?: "square" | "crop" | "squash", interpolation?: Interpolation,
 *   offset?: "round" | "floor"}} Seen what a model sees of a picture, as `ModelSpec` says it
 */

const A = -0.5;
// A clamped array rounds halves to even; Pillow rounds them up.
const HALF_UP = 1e-6;
// Times the shorter side: of a longer picture only the middle is resized, as in images/fit.py.
const LONGEST = 16;

/** @type {Record<"bicubic" | "bilinear" | "lanczos", {support: number, weight: (x: number) => number}>} */
const KERNELS = {
  bicubic: { support: 2, weight: bicubic },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * What a model sees of a picture, as RGB of size x size x 3 bytes.
 * @param {Uint8ClampedArray | Uint8Array} rgba of an opaque picture @param {number} width
 * @param {number} height @param {Seen} seen
 * @param {[number, number]} original the size that the picture had before it was reduced
 * @returns {Uint8Array}
 */
export function seenBy(rgba, width, height, seen, original = [width, height]) {
  const { size_px: size, crop, resize = "square", interpolation = "bicubic", offset = "round" } = seen;
  if (resize === "square") return centralSquare(rgba, width, height, size, crop);
  const short = Math.floor(size / crop);
  let box = [0, 0, width, height];
  let [wide, high] = original;
  let target = [short, short];
  if (resize === "crop") {
    [box, wide, high] = middle(box, wide, high);
    target =
      wide <= high ? [short, Math.trunc((short * high) / wide)] : [Math.trunc((short * wide) / high), short];
  }
  const rounded = offset === "round" ? halfToEven : Math.floor;
  const lines = [0, 1].map((axis) => {
    const [start, stop, length] = [box[axis], box[axis + 2], [width, height][axis]];
    // Pillow looks at pixels around a box, so those are cut off first.
    const [first, end] = [Math.floor(start), Math.min(Math.ceil(stop), length)];
    const extent = Math.min(stop, end) - start;
    const from = rounded((target[axis] - size) / 2);
    return weightsOf({ first, end }, start, extent, target[axis], interpolation, from, from + size);
  });
  return resample(rgba, width, lines[0], lines[1]);
}

/**
 * The central square of a picture, `crop` times its shorter side, as RGB of size x size x 3 bytes.
 * @param {Uint8ClampedArray | Uint8Array} rgba of an opaque picture @param {number} width
 * @param {number} height @param {number} size @param {number} crop @returns {Uint8Array}
 */
export function centralSquare(rgba, width, height, size, crop) {
  const side = Math.min(width, height) * crop;
  const across = weightsOf({ first: 0, end: width }, (width - side) / 2, side, size);
  const down = weightsOf({ first: 0, end: height }, (height - side) / 2, side, size);
  return resample(rgba, width, across, down);
}

/** @param {Uint8ClampedArray | Uint8Array} rgba @param {number} width @param {Line} across @param {Line} down
 * @returns {Uint8Array} RGB */
function resample(rgba, width, across, down) {
  const top = Math.min(...down.map(({ first }) => first));
  const bottom = Math.max(...down.map(({ first, weights }) => first + weights.length));

  // Rows first, to 8 bits as in Pillow, and only those that the columns need.
  const narrow = new Uint8ClampedArray((bottom - top) * across.length * 3);
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
  const stride = across.length * 3;
  const square = new Uint8ClampedArray(down.length * stride);
  let out = 0;
  for (const { first, weights } of down) {
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
 * For the pixels `from` to `to` of `size`: which pixels of a line they are made from, and with what weights.
 * When a line shrinks, the kernel widens with it (antialiasing).
 * @param {{first: number, end: number}} line the pixels that may be used @param {number} start
 * @param {number} extent @param {number} size @param {Interpolation} interpolation @param {number} from
 * @param {number} to @returns {Line}
 */
function weightsOf(line, start, extent, size, interpolation = "bicubic", from = 0, to = size) {
  const scale = extent / size;
  const spread = Math.max(scale, 1);
  return Array.from({ length: to - from }, (_, place) => {
    const center = start + (from + place + 0.5) * scale;
    if (interpolation === "nearest") return { first: Math.trunc(center), weights: Float64Array.of(1) };
    const { support, weight } = KERNELS[interpolation];
    const first = Math.max(line.first, Math.trunc(center - support * spread + 0.5));
    const end = Math.min(line.end, Math.trunc(center + support * spread + 0.5));
    const raw = Float64Array.from({ length: end - first }, (_, i) =>
      weight((first + i - center + 0.5) / spread),
    );
    const sum = raw.reduce((total, one) => total + one, 0);
    return { first, weights: raw.map((one) => one / sum) };
  });
}

/** The middle of a box, at most 16 times as long as it is wide, and its width and height.
 * @param {number[]} box @param {number} width @param {number} height
 * @returns {[number[], number, number]} */
function middle([left, top, right, bottom], width, height) {
  const [wide, high] = [Math.min(width, LONGEST * height), Math.min(height, LONGEST * width)];
  const across = ((right - left) * (1 - wide / width)) / 2;
  const down = ((bottom - top) * (1 - high / height)) / 2;
  return [[left + across, top + down, right - across, bottom - down], wide, high];
}

/** Round as Python does. @param {number} x */
function halfToEven(x) {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}

/** Keys, Cubic convolution interpolation, 1981, with a = -0.5. @param {number} x */
function bicubic(x) {
  x = Math.abs(x);
  if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
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
