// The thread that runs the network on a visitor's own picture, which never leaves the browser.

import { HostError } from "../contract.js";
import { onceEach } from "./files.js";
import { applied, directed } from "./head.js";
import { answerPage } from "./remote.js";
import { tensorOf, vectorOf } from "./network.js";
import { groundOf, seenBy } from "./resize.js";
import { fetchChecked, openNetwork } from "./runtime.js";
import { parseVectors, toInt8Text } from "./vectors.js";

/** @typedef {import("./network.js").Network} Network */

// Larger pictures are reduced while they are drawn: a canvas has its limits, and networks see a few hundred pixels.
const MOST_PIXELS = 24e6;

const load = onceEach((/** @type {string} */ file, /** @type {Network} */ network) =>
  openNetwork(file, network.sha256),
);
const loadLayer = onceEach(async (/** @type {string} */ file, /** @type {string} */ sha256) =>
  parseVectors(await fetchChecked(file, sha256)),
);

answerPage({
  async embed(/** @type {{image: Blob, network: Network}} */ { image, network }) {
    const { runtime, session } = await load(network.file, network);
    const pixels = await pixelsOf(image, network);
    const { values, shape } = tensorOf(pixels, network);
    const input = new runtime.Tensor(network.input.type, values, shape);
    const found = await session.run({ [network.input.name]: input }, [network.output]);
    const { data, dims } = found[network.output];
    /** @type {Float32Array} */
    let vector = directed(vectorOf(data, dims));
    for (const { branches, layers } of network.heads) {
      const loaded = await Promise.all(layers.map(({ file, sha256 }) => loadLayer(file, sha256)));
      vector = applied(branches, loaded, vector);
    }
    return { vector_int8: toInt8Text(vector), model: network.name, dim: network.dim };
  },
});

/** The part of a picture that the network sees, as RGB, with a ground behind transparency. @param {Blob} image
 * @param {Network} network */
async function pixelsOf(image, network) {
  let bitmap;
  try {
    // As in Python: upright by its EXIF orientation, colours as in the file.
    bitmap = await createImageBitmap(image, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    const detail = "It is not a picture, or has a format that this browser cannot read.";
    throw new HostError("not-a-picture", "That picture cannot be read", detail);
  }
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const original = /** @type {[number, number]} */ ([bitmap.width, bitmap.height]);
  const [width, height] = original.map((px) => Math.max(1, Math.round(px * scale)));
  const options = { willReadFrequently: true };
  const canvas = new OffscreenCanvas(width, height).getContext("2d", options);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const drawn = () => context.getImageData(0, 0, width, height).data;
  context.fillStyle = groundOf(drawn());
  context.globalCompositeOperation = "destination-over";
  context.fillRect(0, 0, width, height);
  return seenBy(drawn(), width, height, network, original);
}
