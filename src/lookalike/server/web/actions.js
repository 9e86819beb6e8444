// What a person can do, as the state that it leads to.

import { HostError } from "./contract.js";
import { cut, keep, previewOf } from "./pictures.js";
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
  /** Search by a picture of the person's own. @param {Blob} blob @param {string} name
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
            "Own pictures cannot be searched by",
            host.capabilities(collection).reason ?? "",
          );
        }
        const [{ vector_int8: vector, tags = [] }, preview] = await Promise.all([
          host.embed(collection, { image: blob, signal }),
          previewOf(blob),
        ]);
        signal.throwIfAborted();
        keep(
          vector,
          blob,
          name,
          tags.map(({ tag }) => tag),
        );
        await go({ ...shown(), ...change, terms: [{ kind: "picture", vector, preview, name, weight: 1 }] });
      },
    );
  }

  return {
    searchBlob,
    /** Search by an item and nothing else. @param {string} id */
    search(id) {
      learn(id);
      return go({ ...shown(), terms: [{ kind: "id", id, weight: 1 }], item: "" });
    },
    /** Search by an item, too. @param {string} id @param {1 | -1} weight */
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
    /** Search by a part of a picture that is shown. @param {HTMLImageElement} image
     * @param {import("./pictures.js").Box} box @param {string} name */
    async searchRegion(image, box, name) {
      await searchBlob(await cut(image, box), `Part of ${name.replace(/^Part of /, "")}`, {});
    },
    /** Go to another collection, with what means the same there. @param {string} name */
    changeCollection(name) {
      const [from, to] = [shown().collection, name].map((one) => collections().find((c) => c.name === one));
      const terms = shown().terms.filter(
        ({ kind }) =>
          (kind === "text" && host.capabilities(name).words) ||
          (kind === "picture" && from?.model === to?.model),
      );
      return go({ ...START, collection: name, terms });
    },
  };
}
