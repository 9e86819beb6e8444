// The user's actions, each as the state that it leads to.

import { HostError } from "./contract.js";
import { embedded, ownOf, previewOf } from "./pictures.js";
import { START } from "./state.js";
import { withTerm } from "./terms.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./terms.js").Term} Term */

/**
 * @param {import("./contract.js").Host} host
 * @param {{
 *   shown: () => State, go: (state: State) => Promise<void>,
 *   collections: () => import("./contract.js").Collection[], learn: (id: string) => void,
 *   attempt: (again: () => void, work: (signal: AbortSignal) => Promise<void>) => Promise<void>}} page
 */
export function createActions(host, { shown, go, collections, learn, attempt }) {
  /** Search by the user's own picture. @param {Blob} blob @param {string} name
   * @param {Partial<State>} [change] what else changes
   * @returns {Promise<void>} */
  function searchBlob(blob, name, change = { item: "" }) {
    const { collection } = shown();
    return attempt(
      () => searchBlob(blob, name, change),
      async (signal) => {
        if (!host.capabilities(collection).pictures) {
          throw new HostError(
            "no-pictures",
            "You cannot search by your own pictures here",
            host.capabilities(collection).reason ?? "",
          );
        }
        const [vector, preview] = await Promise.all([
          embedded(host, collection, blob, name, signal),
          previewOf(blob),
        ]);
        signal.throwIfAborted();
        await go({ ...shown(), ...change, terms: [{ kind: "picture", vector, preview, name, weight: 1 }] });
      },
    );
  }

  /** Go to another collection, keeping what means the same there. @param {string} name @returns {Promise<void>} */
  function changeCollection(name) {
    const { collection, terms } = shown();
    const [from, to] = [collection, name].map((one) => collections().find((c) => c.name === one)?.model);

    /** @param {Term} term @param {AbortSignal} signal @returns {Promise<Term[]>} */
    async function taken(term, signal) {
      const { words, pictures } = host.capabilities(name);
      if (term.kind === "text") return words ? [term] : [];
      if (term.kind === "id") return [];
      if (from === to) return [term];
      const own = ownOf(term.vector);
      if (!own || !pictures) return [];
      return [{ ...term, vector: await embedded(host, name, own.blob, own.name, signal) }];
    }

    return attempt(
      () => changeCollection(name),
      async (signal) => {
        const all = await Promise.all(terms.map((term) => taken(term, signal)));
        signal.throwIfAborted();
        await go({ ...START, collection: name, terms: all.flat() });
      },
    );
  }

  return {
    searchBlob,
    changeCollection,
    /** Search by an item and nothing else. @param {string} id */
    search(id) {
      learn(id);
      return go({ ...shown(), terms: [{ kind: "id", id, weight: 1 }], item: "" });
    },
    /** Add an item to the search. @param {string} id @param {1 | -1} weight */
    add(id, weight) {
      learn(id);
      return go({ ...shown(), terms: withTerm(shown().terms, { kind: "id", id, weight }) });
    },
    /** @param {Term} term */
    addTerm: (term) => go({ ...shown(), terms: withTerm(shown().terms, term), item: "" }),
    /** @param {string} text */
    searchTag(text) {
      if (host.capabilities(shown().collection).words) {
        return go({ ...shown(), terms: [{ kind: "text", text, weight: 1 }], item: "" });
      }
      return go({ ...shown(), terms: [], filters: [{ column: "tags", op: "has", value: text }], item: "" });
    },
    /** Search by a part of a picture that is shown. @param {Blob} part @param {string} name */
    searchRegion: (part, name) => searchBlob(part, `Part of ${name.replace(/^Part of /, "")}`, {}),
  };
}
