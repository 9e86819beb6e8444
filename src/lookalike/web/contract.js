// The interface of the host behind the page. `host.js` is one; a static site replaces it with another,
// and the rest of the page does not know which one it has.

/**
 * A card is what the grid needs to show a picture; the card of a hit also says how similar it is. A card of
 * width 0 has no picture, only a vector made elsewhere.
 * @typedef {{id: string, label: string | null, width: number, height: number, v: string,
 *   score?: number, confidence?: number | null, tags?: string[] | null}} Card
 *
 * @typedef {{name: string, type: "text" | "list" | "number" | "other"}} Column
 *
 * @typedef {{name: string, count: number, model: string, dim: number, fingerprint: string,
 *   labels: Record<string, number>, columns?: Column[], views?: string[]}} Collection
 *
 * Filters of one column are combined with OR, those of different columns with AND.
 * `between` has [low, high], both inclusive, null if open; `null` has no value; `inside` is a polygon on the map.
 * @typedef {{column: string, op: "is" | "has" | "between" | "null" | "inside", value: any}} Filter
 *
 * A term of a query; a negative weight subtracts it. `vector_int8` is base64url.
 * @typedef {({id: string} | {text: string} | {vector_int8: string}) & {weight: number}} Term
 *
 * @typedef {{filters: Filter[], where: string, signal?: AbortSignal}} Chosen `where` is SQL, or empty
 * @typedef {{total: number, offset: number, items: Card[]}} Stretch
 * @typedef {{took_ms: number, total: number, matching: number, left_out: number, hits: Card[],
 *   chance: boolean, words?: Meant[], refined?: string}} Answer
 * `total` counts the items of the collection, `matching` those that meet the filters, `left_out` those among
 * them that are left out because they are in the query. `refined` is how marks refined it.
 * `chance`: even the surest of the first ten hits is weak.
 *
 * What a text of the query was taken for: whose words they are (`said` in a sentence), and what is unknown.
 * `missing` says why the model, which may know those, was not asked.
 * @typedef {{word: string, origin: string, count: number | null, said: string}} Word
 * @typedef {{text: string, words: Word[], unknown: string[], missing?: string}} Meant
 *
 * @typedef {{value: string | number | null, count: number}} Value
 * @typedef {{name: string, type: "text" | "list", values: Value[], distinct: number}} Values
 * @typedef {{name: string, type: "number", min: number, max: number, bins: number[],
 *   edges: number[]}} Histogram
 * @typedef {{name: string, type: "number", min: null, max: null, bins: never[], edges: never[]}} Blank
 * A column of numbers without any number in it.
 * @typedef {{total: number, columns: (Values | Histogram | Blank)[]}} Facets
 *
 * @typedef {{vector_int8: string, model: string, dim: number,
 *   tags?: {tag: string, probability: number}[]}} Embedding
 * @typedef {{words: boolean, pictures: boolean, sql: boolean, marks?: boolean, reason?: string}} Capabilities
 *
 * What the labelled pictures say that a picture is: `label` is null if it is unknown, and `reason` says why.
 * `neighbours` are the nearest pictures with the first of the likeliest labels; `same` is a labelled copy of it.
 * @typedef {{label: string | null, probability: number, reason: "" | "strange" | "unsure",
 *   likely: {label: string, probability: number}[], neighbours: Card[],
 *   same: Card | null, knows_strangers: boolean}} Verdict
 *
 * What people say of pictures; null takes it back. docs/api.md lists the kinds and their values.
 * @typedef {{kind: string, ids: string[], value: any}} Mark
 * @typedef {{item: Card, label: string, probability: number}} Proposal
 * `keep` gives the marks that take back what was kept; `tagged` is false if the tags of taught words have to wait.
 * @typedef {{
 *   about: (c: string, options: {id: string, signal?: AbortSignal}) => Promise<Mark[]>,
 *   keep: (c: string, marks: Mark[]) => Promise<{undo: Mark[], tagged: boolean}>,
 *   proposals: (c: string, options: {offset: number, limit: number, signal?: AbortSignal})
 *     => Promise<{total: number, offset: number, proposals: Proposal[]}>,
 * }} Marks
 *
 * What was derived from a collection; a host need not have these.
 * @typedef {{cluster: number, name: string, size: number, cohesion: number, medoid: string, items: Card[]}} Cluster
 * @typedef {{method: string, reason: string, noise: number, command: string, clusters: Cluster[]}} Clusters
 * @typedef {{command: string, left_out: number, tiers: Record<string, number>, total: number, offset: number,
 *   groups: {keep: Card, kept: boolean, why: string, move: {item: Card, tier: string, reason: string,
 *     not_duplicate: boolean, kept: boolean}[]}[]}} Duplicates
 * @typedef {{k: number, label: string, labelled: number, command: string,
 *   farthest: {item: Card, distance: number}[],
 *   mislabelled: {item: Card, label: string, suggested: string, share: number}[]}} Outliers
 * `places` has x and y of each item, from -1 to 1; `codes` are those of colors.js.
 * @typedef {{method: string, command: string, places: Float32Array}} Places
 * @typedef {{type: "none" | "text" | "number", codes: Uint8Array, values: string[], min: number | null,
 *   max: number | null}} Colors
 * @typedef {{
 *   clusters: (c: string, options: {signal?: AbortSignal}) => Promise<Clusters>,
 *   duplicates: (c: string, options: {offset: number, limit: number, tier?: string, signal?: AbortSignal})
 *     => Promise<Duplicates>,
 *   outliers: (c: string, options: {signal?: AbortSignal}) => Promise<Outliers>,
 *   map: (c: string, options: {signal?: AbortSignal}) => Promise<Places>,
 *   mapColors: (c: string, options: Chosen & {column: string}) => Promise<Colors>,
 *   middle: (c: string, options: Chosen) => Promise<{count: number, vector_int8: string}>,
 *   mapCards: (c: string, options: {rows: number[], signal?: AbortSignal}) => Promise<Card[]>,
 * }} Views
 * What users can do: search by words, by their own pictures, by SQL conditions, and mark pictures; `reason` says why
 * not pictures.
 */

/**
 * Every method except the addresses and `capabilities` is asynchronous, stops when `signal` is
 * aborted (with the error that `fetch` then throws), and fails with a `HostError`.
 * `c` is a collection's name. Addresses are returned at once; `imageUrl` is null if there is
 * only the thumbnail, and the image may still be missing.
 * @typedef {{
 *   collections: (options?: {signal?: AbortSignal}) => Promise<Collection[]>,
 *   capabilities: (c: string) => Capabilities,
 *   items: (c: string, options: Chosen & {offset: number, limit: number}) => Promise<Stretch>,
 *   item: (c: string, id: string, options?: {signal?: AbortSignal}) => Promise<Record<string, any>>,
 *   facets: (c: string, options: Chosen) => Promise<Facets>,
 *   search: (c: string, options: Chosen & {terms: Term[], k: number}) => Promise<Answer>,
 *   words: (c: string, options: {start: string, signal?: AbortSignal}) => Promise<Word[]>,
 *   embed: (c: string, options: {image: Blob, signal?: AbortSignal}) => Promise<Embedding>,
 *   thumbnailUrl: (c: string, card: {id: string, v: string}) => string,
 *   imageUrl: (c: string, card: {id: string, v: string}) => string | null,
 *   identify?: (c: string, options: {term: {id: string} | {vector_int8: string}, signal?: AbortSignal})
 *     => Promise<Verdict>,
 *   marks?: Marks,
 *   views?: Views,
 *   onProgress?: (listener: (share: number) => void) => void,
 * }} Host
 * A host that has to load before it can search reports the share that is loaded, from 0 to 1.
 */

/** The error of a host that could not do what it was asked. */
export class HostError extends Error {
  /**
   * @param {string} kind `unreachable`, or one of the server's problems: `unknown-item`,
   *   `unknown-collection`, `not-a-picture`, `too-large`, `bad-condition`, `unknown-word`, …
   * @param {string} title what went wrong, in a few words
   * @param {string} detail which, and what to do
   * @param {string[]} nearest ids or words with a similar spelling
   */
  constructor(kind, title, detail, nearest = []) {
    super(detail || title);
    Object.assign(this, { name: "HostError" });
    this.kind = kind;
    this.title = title;
    this.detail = detail;
    this.nearest = nearest;
  }
}
