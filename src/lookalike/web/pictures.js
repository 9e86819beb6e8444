// The user's own pictures: tiny previews for the address, parts of them, and the files while the page is open.

const PREVIEW_PX = 56;

/** @typedef {{url: string, name: string, tags: string[], blob: Blob}} Own */

/** The pictures of this visit, by their vectors. @type {Map<string, Own>} */
const own = new Map();

/** The whole picture, if it was added during this visit. @param {string} vector */
export function ownOf(vector) {
  return own.get(vector);
}

/** Embed a picture with a collection's model, and keep the vector with the picture.
 * @param {import("./contract.js").Host} host @param {string} collection @param {Blob} blob @param {string} name
 * @param {AbortSignal} [signal] @returns {Promise<string>} its vector */
export async function embedded(host, collection, blob, name, signal) {
  const { vector_int8: vector, tags = [] } = await host.embed(collection, { image: blob, signal });
  const url = own.get(vector)?.url ?? URL.createObjectURL(blob);
  own.set(vector, { url, name, tags: tags.map(({ tag }) => tag), blob });
  return vector;
}

/** A square of 56 px as a JPEG in base64url; empty if the browser cannot read the picture.
 * @param {Blob} blob @returns {Promise<string>} */
export async function previewOf(blob) {
  try {
    const image = await createImageBitmap(blob);
    const side = Math.min(image.width, image.height);
    const square = { x: (image.width - side) / 2, y: (image.height - side) / 2, side };
    const canvas = canvasOf(PREVIEW_PX, PREVIEW_PX);
    canvas
      .getContext("2d")
      ?.drawImage(image, square.x, square.y, square.side, square.side, 0, 0, PREVIEW_PX, PREVIEW_PX);
    image.close();
    const jpeg = await encoded(canvas, 0.6);
    return base64url(new Uint8Array(await jpeg.arrayBuffer()));
  } catch {
    return ""; // such as HEIC: the server may read what a browser cannot
  }
}

/** The URL of a preview that is stored in the page's address. @param {string} preview */
export function previewUrl(preview) {
  return `data:image/jpeg;base64,${preview.replaceAll("-", "+").replaceAll("_", "/")}`;
}

/** @param {number} width @param {number} height */
export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob>} */
export function encoded(canvas, quality) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/jpeg", quality);
  });
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
