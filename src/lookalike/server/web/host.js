// The only module that talks to the server. Another host, such as files on a static site, offers
// the same functions and takes its place.

/**
 * @typedef {{id: string, label: string | null, width: number, height: number, v: string,
 *   score?: number}} Item
 * @typedef {{name: string, count: number, model: string, dim: number, fingerprint: string,
 *   labels: Record<string, number>}} Collection
 * @typedef {{total: number, offset: number, items: Item[]}} Stretch
 * @typedef {{query: Partial<Item>, took_ms: number, total: number, hits: Item[]}} Answer
 * @typedef {{id: string} | {blob: Blob}} Query
 * @typedef {{
 *   collection: Collection,
 *   collections: (signal?: AbortSignal) => Promise<Collection[]>,
 *   items: (offset: number, limit: number, signal?: AbortSignal) => Promise<Stretch>,
 *   search: (query: Query, k: number, signal?: AbortSignal) => Promise<Answer>,
 *   thumbnailUrl: (item: Item) => string,
 * }} Host
 */

/** A request that was not answered; `kind` is the end of the problem's type, or `unreachable`. */
export class HostError extends Error {
  /** @param {string} kind @param {string} message @param {string[]} nearest ids spelled alike */
  constructor(kind, message, nearest = []) {
    super(message);
    this.kind = kind;
    this.nearest = nearest;
  }
}

/**
 * Find the first collection that the server has.
 * @param {string} base where the API is @returns {Promise<Host>}
 */
export async function connect(base = "api/") {
  const root = new URL(base, document.baseURI);
  /** @param {AbortSignal=} signal */
  const collections = (signal) => request(new URL("collections", root), { signal });
  const [collection] = await collections();
  const home = new URL(`${encodeURIComponent(collection.name)}/`, root);

  return {
    collection,
    collections,
    items: (offset, limit, signal) =>
      request(new URL(`items?offset=${offset}&limit=${limit}`, home), { signal }),
    search: (query, k, signal) =>
      request(new URL(`search?k=${k}`, home), { method: "POST", signal, ...bodyOf(query) }),
    thumbnailUrl: (item) =>
      new URL(`thumbnails/${encodeURIComponent(item.id)}?v=${item.v}`, home).href,
  };
}

/** @param {Query} query @returns {RequestInit} */
function bodyOf(query) {
  if ("id" in query) {
    const headers = { "Content-Type": "application/json" };
    return { body: JSON.stringify({ id: query.id }), headers };
  }
  // What a file says it is goes by its name; the server looks at what is in it.
  const type = query.blob.type.startsWith("image/") ? query.blob.type : "application/octet-stream";
  return { body: query.blob, headers: { "Content-Type": type } };
}

/** @param {URL} url @param {RequestInit} init */
async function request(url, init) {
  let response;
  try {
    response = await fetch(url, init);
    if (response.ok) return await response.json();
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new HostError("unreachable", "the server does not answer");
  }
  const problem = await response.json().catch(() => ({}));
  const kind = String(problem.type ?? "").split(":").pop() || "failure";
  throw new HostError(kind, problem.detail ?? response.statusText, problem.nearest);
}
