// The state of the page, and its address. The state is in the fragment, so the user's own picture, stored as its
// vector and a tiny preview, reaches only people who are given the address, and no server's log.

/** @typedef {import("./terms.js").Term} Term */
/** @typedef {import("./contract.js").Filter} Filter */

/**
 * `beside` is the collection to compare with, or empty.
 * `item` is the one whose details are open, or empty; an empty `collection` means the first.
 * `color` and `look` are the map's column and camera, `tier` is the kind of duplicates.
 * @typedef {{collection: string, view: string, terms: Term[], filters: Filter[], where: string,
 *   item: string, beside: string, color: string, look: string, tier: string}} State
 */

/** @type {State} */
export const START = {
  collection: "",
  view: "explore",
  terms: [],
  filters: [],
  where: "",
  item: "",
  beside: "",
  color: "",
  look: "",
  tier: "",
};

/** Parts of the address that belong to one view only. @type {Record<string, ("color" | "look" | "tier")[]>} */
const OF_VIEW = { map: ["color", "look"], duplicates: ["tier"] };

const TERM = /^(?:(-?\d+(?:\.\d+)?)\*)?(id|text|picture):(.*)$/s;
const OPERATIONS = ["is", "has", "between", "null", "inside"];

/** The fragment of the address of a state. @param {State} state */
export function addressOf(state) {
  const parts = new URLSearchParams();
  if (state.collection) parts.append("c", state.collection);
  if (state.view !== START.view) parts.append("view", state.view);
  for (const term of state.terms) parts.append("q", termText(term));
  for (const filter of state.filters) parts.append("f", filterText(filter));
  if (state.where) parts.append("where", state.where);
  if (state.beside) parts.append("with", state.beside);
  for (const name of OF_VIEW[state.view] ?? []) if (state[name]) parts.append(name, state[name]);
  if (state.item) parts.append("item", state.item);
  // Slashes and colons are fine in a fragment, and ids are full of them.
  const text = parts.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
  return `#${text.replaceAll("%2A", "*").replaceAll("%2C", ",")}`;
}

/** The state in an address; whatever is not understood is left out. @param {string} hash @returns {State} */
export function stateOf(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    collection: parts.get("c") ?? "",
    view: parts.get("view") ?? START.view,
    terms: parts.getAll("q").flatMap(termOf),
    filters: parts.getAll("f").flatMap(filterOf),
    where: parts.get("where") ?? "",
    item: parts.get("item") ?? "",
    beside: parts.get("with") ?? "",
    color: parts.get("color") ?? "",
    look: parts.get("look") ?? "",
    tier: parts.get("tier") ?? "",
  };
}

/** The part of the state that decides which pictures are shown: all but the open details and the map's camera.
 * @param {State} state */
export function contentOf(state) {
  return addressOf({ ...state, item: "", color: "", look: "" });
}

/** @param {Term} term */
function termText(term) {
  const weight = term.weight === 1 ? "" : `${term.weight}*`;
  if (term.kind === "id") return `${weight}id:${term.id}`;
  if (term.kind === "text") return `${weight}text:${term.text}`;
  return `${weight}picture:${term.vector}~${term.preview}~${term.name}`;
}

/** @param {string} text @returns {Term[]} */
function termOf(text) {
  const [whole, number, kind, rest] = TERM.exec(text) ?? [];
  const weight = number === undefined ? 1 : Number(number);
  if (whole === undefined || !rest || weight === 0) return [];
  if (kind === "id") return [{ kind, id: rest, weight }];
  if (kind === "text") return [{ kind, text: rest, weight }];
  const [vector, preview = "", ...name] = rest.split("~");
  return vector ? [{ kind: "picture", vector, preview, name: name.join("~"), weight }] : [];
}

/** @param {Filter} filter */
function filterText({ column, op, value }) {
  const values =
    op === "between" || op === "inside" ? value.map(numberText) : op === "null" ? [] : [valueText(value)];
  return [op, column, ...values].map((part) => part.replaceAll("%", "%25").replaceAll(":", "%3A")).join(":");
}

/** @param {string} text @returns {Filter[]} */
function filterOf(text) {
  const [op, column, ...values] = text
    .split(":")
    .map((part) => part.replaceAll("%3A", ":").replaceAll("%25", "%"));
  if (!OPERATIONS.includes(op) || !column) return [];
  const known = /** @type {Filter["op"]} */ (op);
  if (known === "null") return [{ column, op: known, value: null }];
  if (known === "inside") return [{ column, op: known, value: values.map(Number).filter(Number.isFinite) }];
  if (known !== "between") return values.length ? [{ column, op: known, value: valueOf(values[0]) }] : [];
  const range = [numberOf(values[0]), numberOf(values[1])];
  return range[0] === null && range[1] === null ? [] : [{ column, op: known, value: range }];
}

/** Numbers are marked, because "3" may also be a label. @param {unknown} value */
function valueText(value) {
  return typeof value === "number" ? `n${value}` : `t${value}`;
}

/** @param {string} text */
function valueOf(text) {
  return text[0] === "n" ? Number(text.slice(1)) : text.slice(1);
}

/** @param {number | null} number */
function numberText(number) {
  return number === null ? "" : String(number);
}

/** @param {string | undefined} text */
function numberOf(text) {
  return text && Number.isFinite(Number(text)) ? Number(text) : null;
}
