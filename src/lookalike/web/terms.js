// The terms of a query: items, words and the user's own pictures, with weights. Their weighted sum is the query.

/**
 * `preview` is a tiny JPEG in base64url, `vector` the picture's direction as int8 in base64url.
 * @typedef {{kind: "id", id: string, weight: number}
 *   | {kind: "text", text: string, weight: number}
 *   | {kind: "picture", vector: string, preview: string, name: string, weight: number}} Term
 */

export const WEIGHT_STEP = 0.25;
export const MAX_WEIGHT = 3;
const LEAST_MARKS = 2;

/** Whether two terms mean the same thing, whatever their weights. @param {Term} one @param {Term} other */
export function alike(one, other) {
  return identity(one) === identity(other);
}

/** Add a term; it replaces one that means the same. @param {Term[]} terms @param {Term} term @returns {Term[]} */
export function withTerm(terms, term) {
  const at = terms.findIndex((one) => alike(one, term));
  return at < 0 ? [...terms, term] : terms.with(at, term);
}

/** Remove the n-th term. @param {Term[]} terms @param {number} n */
export function without(terms, n) {
  return terms.filter((_, i) => i !== n);
}

/**
 * The n-th term with another weight, kept within bounds and never zero.
 * @param {Term[]} terms @param {number} n @param {number} weight @returns {Term[]}
 */
export function weigh(terms, n, weight) {
  const size = Math.min(MAX_WEIGHT, Math.max(WEIGHT_STEP, Math.abs(weight)));
  const rounded = Math.round(size / WEIGHT_STEP) * WEIGHT_STEP;
  return terms.with(n, { ...terms[n], weight: weight < 0 ? -rounded : rounded });
}

/** Parse what the user typed: `daisy`, or `-thorn` for less of it. @param {string} typed @returns {Term | null} */
export function wordsOf(typed) {
  const [, minus, text] = /^\s*(-?)\s*(.*?)\s*$/s.exec(typed) ?? [];
  return text ? { kind: "text", text, weight: minus ? -1 : 1 } : null;
}

/** A term in the host's form. @param {Term} term @returns {import("./contract.js").Term} */
export function toHost(term) {
  const { weight } = term;
  if (term.kind === "id") return { id: term.id, weight };
  return term.kind === "text" ? { text: term.text, weight } : { vector_int8: term.vector, weight };
}

/**
 * A query and the marks on its hits: once two pictures more are wanted and two are not, those of weight 1 are marks,
 * which refine the first term; fewer say too little, and stay terms of a sum.
 * @param {import("./contract.js").Term[]} terms
 * @returns {{query: import("./contract.js").Term[], like: string[], unlike: string[]}}
 */
export function withMarks(terms) {
  const first = terms.findIndex(({ weight }) => weight > 0);
  const isMark = (/** @type {import("./contract.js").Term} */ term, /** @type {number} */ at) =>
    at !== first && "id" in term && Math.abs(term.weight) === 1;
  const marks = terms.filter(isMark);
  const ids = (/** @type {number} */ weight) =>
    marks.flatMap((term) => ("id" in term && term.weight === weight ? [term.id] : []));
  const [like, unlike] = [ids(1), ids(-1)];
  if (first < 0 || Math.min(like.length, unlike.length) < LEAST_MARKS) return { query: terms, like: [], unlike: [] };
  return { query: terms.filter((term, at) => !isMark(term, at)), like, unlike };
}

/** @param {Term} term */
function identity(term) {
  if (term.kind === "id") return `id:${term.id}`;
  return term.kind === "text" ? `text:${term.text.toLowerCase()}` : `picture:${term.vector}`;
}
