// The host behind the page of a static site: files, and workers that search in them.

import { HostError } from "../contract.js";
import { fetchJson, once, SITE } from "./files.js";
import { startWorker } from "./remote.js";

/** @typedef {import("./shelf.js").Entry & {pictures: boolean, network?: object}} Entry */

// Up to this many bytes of vectors are loaded in advance; more wait for the first search.
const FETCHED_AHEAD = 32e6;

/** The collections of the site, by name. @type {Map<string, Entry>} */
const known = new Map();

/** Called with the share of the vectors that has loaded. @type {(share: number) => void} */
let tell = () => {};

const searcher = once(async () => startWorker("./search-worker.js", ({ done, total }) => tell(done / total)));
const embedder = once(async () => startWorker("./model-worker.js", () => {}));

const catalogue = once(async () => {
  const { version, collections } = await fetchJson("collections.json");
  if (version !== 1) {
    throw new HostError("failure", "The site has a newer version than its page", "Export it again.");
  }
  for (const entry of collections) known.set(entry.name, entry);
  await (
    await searcher()
  )("open", collections);
  return collections;
});

/** Ask the search thread. @param {string} method @param {string} c @param {any} options */
async function ask(method, c, { signal, ...argument } = {}) {
  await catalogue();
  signal?.throwIfAborted();
  if (!known.has(c)) {
    const detail = `There is no “${c}” on this site; there is ${[...known.keys()].join(", ")}.`;
    throw new HostError("unknown-collection", "There is no such collection", detail);
  }
  if (argument.where) {
    throw new HostError("bad-where", "SQL needs a server", "Open the collection with: lookalike serve");
  }
  return (await searcher())(method, { c, ...argument }, signal);
}

/** @type {import("../contract.js").Host} */
const host = {
  collections: () => catalogue(),
  capabilities(c) {
    const { words = false, words_elsewhere, pictures = false } = known.get(c) ?? {};
    const reasons = [
      pictures ? "" : "this site was published without the model (lookalike export --with-model)",
      words_elsewhere ? "words need a server (lookalike serve)" : "",
    ];
    return { words, pictures, sql: false, reason: reasons.filter(Boolean).join("; ") };
  },
  async items(c, options) {
    const stretch = await ask("items", c, options);
    const { count, dim } = /** @type {Entry} */ (known.get(c));
    if (count * dim <= FETCHED_AHEAD) ask("prepare", c).catch(() => {}); // the search will report what is wrong
    return stretch;
  },
  item: (c, id, { signal } = {}) => ask("item", c, { id, signal }),
  facets: (c, options) => ask("facets", c, options),
  words: (c, { start, signal }) => ask("words", c, { start, signal }),
  search: (c, options) => ask("search", c, options),
  async embed(c, { image, signal }) {
    await catalogue();
    const network = known.get(c)?.network;
    if (network) return (await embedder())("embed", { image, network }, signal);
    throw new HostError(
      "other-model",
      "You cannot search by your own pictures here",
      host.capabilities(c).reason ?? "",
    );
  },
  thumbnailUrl(c, { v }) {
    if (!v) return "data:,"; // an item without a picture, or whose card is not loaded yet
    const folder = known.get(c)?.files.folder;
    return new URL(`${folder}thumbnails/${v.slice(0, 2)}/${v}.jpg`, SITE).href;
  },
  imageUrl: () => null,
  onProgress: (listener) => (tell = listener),
};
export default host;
