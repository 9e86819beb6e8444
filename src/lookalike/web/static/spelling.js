// What is spelled most like a word or a name.

const LEAST = 0.3;

/** The (at most three) of the known that share most pairs of letters with a text (Dice's coefficient).
 * @param {string} text @param {Iterable<string>} known @param {number} least the coefficient, at least
 * @returns {string[]} */
export function spelledAlike(text, known, least = LEAST) {
  const wanted = pairsOf(text);
  const found = [];
  for (const one of known) {
    const pairs = pairsOf(one);
    let shared = 0;
    for (const pair of pairs) shared += Number(wanted.has(pair));
    const likeness = (2 * shared) / (wanted.size + pairs.size);
    if (likeness >= least) found.push({ one, likeness });
  }
  return found
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, 3)
    .map(({ one }) => one);
}

/** @param {string} text */
function pairsOf(text) {
  const padded = ` ${text.toLowerCase()} `;
  return new Set(Array.from({ length: padded.length - 1 }, (_, i) => padded.slice(i, i + 2)));
}
