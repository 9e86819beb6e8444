// The terms of a query: items, words and the user's own pictures, with weights. Their weighted sum is the query.

/**
 * `preview` is a tiny JPEG in base64url, `vector` the picture's direction as int8 in base64url.
 * @typedef {{kind: "id", id: string, weight: number}
 *   | {kind: "text", text: string, weight: number}
 *   | {kind: "picture", vector: string, preview: string, name: string, weight: number}} Term
 */

export const WEIGHT_STEP = 0.25;
export const MAX_WEIGHT = 3;

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

/** @param {Term} term */
function identity(term) {
  if (term.kind === "id") return `id:${term.id}`;
  return term.kind === "text" ? `text:${term.text.toLowerCase()}` : `picture:${term.vector}`;
}
