// Colours as words: the rules of `lookalike.search.colored`.

// A picture of which a fifth has a colour has it half of the time.
const ODDS = 4;
// Of a query with other words, as many of the nearest are sorted by colour too.
export const COLOR_CANDIDATES = 500;

/** The name of a colour that a spelled text is; empty if it is none. @param {string} text
 * @param {readonly string[]} names */
export function colorIn(text, names) {
  const name = text.replaceAll("gray", "grey");
  return names.includes(name) ? name : "";
}

/** How much of each picture has each named colour, in 255ths. */
export class ColorShares {
  /** @param {readonly string[]} names @param {Uint8Array} shares one for each picture and name */
  constructor(names, shares) {
    this.names = names;
    this.shares = shares;
  }

  /** The share of a picture that has all of some colours: of the one that it has least of.
   * @param {number} row @param {string[]} colors */
  shareOf(row, colors) {
    return Math.min(...colors.map((color) => this.shareOfOne(row, color)));
  }

  /** The dark and light kinds of a colour are that colour too. @param {number} row @param {string} color */
  shareOfOne(row, color) {
    const start = row * this.names.length;
    let sum = 0;
    this.names.forEach((name, at) => {
      if (name === color || name.split(" ").at(-1) === color) sum += this.shares[start + at];
    });
    return Math.min(sum / 255, 1);
  }
}

/** How likely a picture with a share of a colour has it. @param {number} share */
export function chanceOf(share) {
  return (ODDS * share) / (1 + (ODDS - 1) * share);
}
