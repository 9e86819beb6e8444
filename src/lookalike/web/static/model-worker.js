// The thread that runs the network on a visitor's own picture, which never leaves the browser.

import { HostError } from "../contract.js";
import { fetchBytes, onceEach, SITE } from "./files.js";
import { answerPage } from "./remote.js";
import { centralSquare, groundOf } from "./resize.js";
import { toInt8Text, unit } from "./vectors.js";

/** @typedef {{file: string, name: string, sha256: string, dim: number, size_px: number, crop: number}} Network */

// Larger pictures are reduced while they are drawn: a canvas has its limits, and the network sees 224 pixels.
const MOST_PIXELS = 24e6;

const load = onceEach(async (/** @type {string} */ file, /** @type {Network} */ network) => {
  const script = new URL("model/onnxruntime.js", SITE).href;
  const [runtime, wasm, bytes] = await Promise.all([
    import(script),
    fetchBytes("model/onnxruntime.wasm"),
    fetchBytes(file),
  ]);
  await check(bytes, network.sha256);
  runtime.env.wasm.wasmPaths = { mjs: new URL("model/onnxruntime-wasm.js", SITE).href };
  runtime.env.wasm.wasmBinary = wasm;
  runtime.env.wasm.numThreads = 1; // more threads need headers that a plain web host does not send
  const session = await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return { runtime, session };
});

answerPage({
  async embed({ image, network }) {
    const { runtime, session } = await load(network.file, network);
    const pixels = await pixelsOf(image, network);
    const { size_px: size, dim } = network;
    const input = new runtime.Tensor("uint8", pixels, [1, size, size, 3]);
    const { features } = await session.run({ pixels: input });
    // A picture without any features has no direction; it gets the one in which all numbers are equal.
    const vector = unit(features.data) ?? new Float32Array(dim).fill(1);
    return { vector_int8: toInt8Text(vector), model: network.name, dim };
  },
});

/** The part of a picture that the network sees, as RGB, with a ground behind transparency. @param {Blob} image
 * @param {Network} network */
async function pixelsOf(image, { size_px, crop }) {
  let bitmap;
  try {
    // As in Python: upright by its EXIF orientation, colours as in the file.
    bitmap = await createImageBitmap(image, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    const detail = "It is not a picture, or has a format that this browser cannot read.";
    throw new HostError("not-a-picture", "That picture cannot be read", detail);
  }
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const [width, height] = [bitmap.width, bitmap.height].map((px) => Math.max(1, Math.round(px * scale)));
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
  return centralSquare(drawn(), width, height, size_px, crop);
}

/** Check the weights: others would give vectors that mean nothing here. @param {ArrayBuffer} bytes @param {string} sha256 */
async function check(bytes, sha256) {
  if (!crypto.subtle) return; // exists only over HTTPS and on localhost
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found === sha256) return;
  const detail = "Its file is damaged, or has another version than the collection. Export the site again.";
  throw new HostError("other-model", "The model is not the one that made this collection", detail);
}
