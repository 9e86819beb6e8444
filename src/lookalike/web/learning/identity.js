// What the user's own picture is, by the labelled pictures: a line above the results.

import { verdictOf } from "./verdict.js";

/** @param {import("../contract.js").Host} host @param {HTMLElement} place @param {string} collection
 * @param {string} vector @param {import("./verdict.js").Showing} showing @param {AbortSignal} signal */
export async function showIdentity(host, place, collection, vector, showing, signal) {
  const verdict = await host.identify?.(collection, { term: { vector_int8: vector }, signal });
  signal.throwIfAborted();
  if (verdict) place.replaceChildren(verdictOf(verdict, showing));
}
