// Finds the most similar spellings of a word or a name.

const LEAST = 0.3;

/** The (at most three) known texts that share the most pairs of letters with a text (Dice's coefficient).
 * @param {string} text @param {Iterable<string>} known @returns {string[]} */
export function spelledAlike(text, known) {
  const wanted = pairsOf(text);
  const found = [];
  for (const one of known) {
    const pairs = pairsOf(one);
    let shared = 0;
    for (const pair of pairs) shared += Number(wanted.has(pair));
    const likeness = (2 * shared) / (wanted.size + pairs.size);
    if (likeness >= LEAST) found.push({ one, likeness });
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

/** The (at most three) known words that share at least this part of their letters with a word, in order.
 * @param {string} word @param {Iterable<string>} known @param {number} least @returns {string[]} */
export function misspelled(word, known, least) {
  const found = [];
  for (const one of known) {
    const together = word.length + one.length;
    if (2 * Math.min(word.length, one.length) < least * together) continue;
    const likeness = (2 * sharedLetters(word, one)) / together;
    if (likeness >= least) found.push({ one, likeness });
  }
  return found
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, 3)
    .map(({ one }) => one);
}

/** The length of the longest common subsequence. @param {string} a @param {string} b */
function sharedLetters(a, b) {
  let row = new Uint16Array(b.length + 1);
  for (const letter of a) {
    const next = new Uint16Array(b.length + 1);
    for (let i = 1; i <= b.length; i++) {
      next[i] = letter === b[i - 1] ? row[i - 1] + 1 : Math.max(row[i], next[i - 1]);
    }
    row = next;
  }
  return row[b.length];
}
