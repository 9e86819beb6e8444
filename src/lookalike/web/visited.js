// What was shown recently, and where it was left, so that going back is instant.

/** @typedef {{source: import("./sources.js").Source, place: import("./history.js").Place}} Visit */

const KEPT = 20;

export function createVisited() {
  /** By content, the one left last at the end. @type {Map<string, Visit>} */
  const visits = new Map();

  return {
    /** @param {string} content */
    find: (content) => visits.get(content),
    /** @param {string} content @param {Visit["source"]} source @param {Visit["place"]} place */
    keep(content, source, place) {
      visits.delete(content);
      visits.set(content, { source, place });
      if (visits.size > KEPT) visits.delete([...visits.keys()][0]);
    },
  };
}
