// The host behind the page: a Lookalike server. The only module that knows its addresses.

import { HostError } from "./contract.js";
import { conditionOf } from "./filters.js";
import { withMarks } from "./terms.js";

/** @typedef {import("./contract.js").Collection} Collection */

const ROOT = new URL("api/", document.baseURI);

/** What the server says about its collections, by name. @type {Map<string, any>} */
const known = new Map();

/** @type {import("./contract.js").Host} */
const host = {
  async collections({ signal } = {}) {
    const all = await request(new URL("collections", ROOT), { signal });
    for (const one of all) known.set(one.name, one);
    return all;
  },
  capabilities(c) {
    const { words = false, pictures = true, marks = false } = known.get(c) ?? {};
    return { words, pictures, sql: true, marks, reason: pictures ? "" : "the model is not available here" };
  },
  items(c, { offset, limit, filters, where, signal }) {
    const url = addressOf(c, "items", { offset, limit, where: conditionOf(filters, where) });
    return request(url, { signal });
  },
  item: (c, id, { signal } = {}) => request(addressOf(c, `items/${encodeURIComponent(id)}`), { signal }),
  facets(c, { filters, where, signal }) {
    return request(addressOf(c, "facets", { where: conditionOf(filters, where) }), { signal });
  },
  words: (c, { start, signal }) => request(addressOf(c, "words", { start }), { signal }),
  search(c, { terms, k, filters, where, signal }) {
    const body = { ...withMarks(terms), k, where: conditionOf(filters, where) || null };
    return post(addressOf(c, "search"), body, signal);
  },
  embed(c, { image, signal }) {
    // Browsers derive a file's type from its name; the server looks at its contents.
    const type = image.type.startsWith("image/") ? image.type : "application/octet-stream";
    const headers = { "Content-Type": type };
    return request(addressOf(c, "embed"), { method: "POST", body: image, headers, signal });
  },
  identify: (c, { term, signal }) => post(addressOf(c, "identify"), term, signal),
  marks: {
    about: (c, { id, signal }) => request(addressOf(c, "marks", { id }), { signal }),
    keep: (c, marks) => post(addressOf(c, "marks"), marks),
    proposals(c, { offset, limit, signal }) {
      return request(addressOf(c, "proposals", { offset, limit }), { signal });
    },
  },
  thumbnailUrl: (c, { id, v }) => addressOf(c, `thumbnails/${encodeURIComponent(id)}`, { v }).href,
  views: {
    clusters: (c, { signal }) => request(addressOf(c, "clusters"), { signal }),
    duplicates(c, { offset, limit, tier = "", signal }) {
      return request(addressOf(c, "duplicates", { offset, limit, tier }), { signal });
    },
    outliers: (c, { signal }) => request(addressOf(c, "outliers"), { signal }),
    async map(c, { signal }) {
      const found = await request(addressOf(c, "map"), { signal });
      return { ...found, places: new Float32Array(bytesOf(found.places).buffer) };
    },
    async mapColors(c, { column, filters, where, signal }) {
      const url = addressOf(c, "map/colors", { column, where: conditionOf(filters, where) });
      const found = await request(url, { signal });
      return { ...found, codes: bytesOf(found.codes) };
    },
    middle(c, { filters, where, signal }) {
      return request(addressOf(c, "middle", { where: conditionOf(filters, where) }), { signal });
    },
    mapCards: (c, { rows, signal }) => request(addressOf(c, "map/cards", { rows: rows.join() }), { signal }),
  },
  imageUrl: (c, { id, v }) => addressOf(c, `images/${encodeURIComponent(id)}`, { v }).href,
};
export default host;

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** @param {string} c @param {string} path @param {Record<string, string | number>} parameters */
function addressOf(c, path, parameters = {}) {
  const url = new URL(`${encodeURIComponent(c)}/${path}`, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** @param {URL} url @param {any} body @param {AbortSignal} [signal] @returns {Promise<any>} */
function post(url, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return request(url, { method: "POST", body: JSON.stringify(body), headers, signal });
}

/** @param {URL} url @param {RequestInit} init @returns {Promise<any>} */
async function request(url, init) {
  let response;
  try {
    response = await fetch(url, init);
    if (response.ok) return await response.json();
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    const detail = "It may have been stopped. Start it again with: lookalike serve";
    throw new HostError("unreachable", "The server does not answer", detail);
  }
  const problem = await response.json().catch(() => ({}));
  const kind =
    String(problem.type ?? "")
      .split(":")
      .pop() || "failure";
  const title = problem.title || response.statusText || "That did not work";
  const { detail = "", hint, nearest = [] } = problem;
  throw new HostError(kind, title, hint && !nearest.length ? `${detail}; ${hint}` : detail, nearest);
}
