// What a network in an ONNX file takes and gives: pixels as its input, and a vector from its output.

/**
 * A head is branches beside each other, each a number of the layers in turn.
 * @typedef {{layers: number, power: number, end: string, weight: number}} Branch
 * @typedef {{branches: Branch[], layers: {file: string, sha256: string}[]}} Head
 * @typedef {import("./resize.js").Seen & {file: string, name: string, sha256: string, dim: number,
 *   mean: number[], std: number[], channels: "RGB" | "BGR", output: string, heads: Head[],
 *   input: {name: string, type: "uint8" | "float32", channels_first: boolean, batch: number}}} Network
 * `mean` and `std` are empty for a network that takes the pixels as they are; `batch` is the number of pictures
 */

/**
 * The input for one picture, repeated until the batch is full. @param {Uint8Array} rgb size x size x 3
 * @param {Network} network @returns {{values: Uint8Array | Float32Array, shape: number[]}}
 */
export function tensorOf(rgb, { size_px: size, mean, std, channels, input }) {
  const { type, channels_first, batch } = input;
  const Values = type === "uint8" ? Uint8Array : Float32Array;
  const values = new Values(batch * rgb.length);
  const places = size * size;
  for (let place = 0; place < places; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = rgb[place * 3 + (channels === "BGR" ? 2 - channel : channel)];
      const at = channels_first ? channel * places + place : place * 3 + channel;
      values[at] = mean.length ? (value / 255 - mean[channel]) / std[channel] : value;
    }
  }
  for (let copy = 1; copy < batch; copy++) values.copyWithin(copy * rgb.length, 0, rgb.length);
  return { values, shape: channels_first ? [batch, 3, size, size] : [batch, size, size, 3] };
}

/**
 * The features of the first picture: (B, D) as they are, the mean over the places of (B, T, D) and (B, D, H, W).
 * @param {Float32Array} data @param {readonly number[]} dims @returns {Float32Array}
 */
export function vectorOf(data, dims) {
  if (dims.length === 2) return data.slice(0, dims[1]);
  const [places, dim] = dims.length === 3 ? [dims[1], dims[2]] : [dims[2] * dims[3], dims[1]];
  const [ofPlace, ofDim] = dims.length === 3 ? [dim, 1] : [1, places];
  return Float32Array.from({ length: dim }, (_, d) => {
    let sum = 0;
    for (let place = 0; place < places; place++) sum += data[place * ofPlace + d * ofDim];
    return sum / places;
  });
}
