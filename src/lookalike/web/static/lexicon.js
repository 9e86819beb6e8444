// Words to vectors, by the rules of `lookalike.models.words`, whose tables are part of the site.

import { unit } from "./vectors.js";

/**
 * @typedef {{terms: Record<string, [count: number, classes: number[]][]>, plurals: Record<string, string>,
 *   endings: [string, string][], stop_words: string[], most_words: number}} Rules
 */

/** A text that has no vector: `word` is unknown, or is empty where there is nothing to search for. */
export class UnknownWord extends Error {
  /** @param {string} word @param {string} message */
  constructor(word, message) {
    super(message);
    this.word = word;
  }
}

export class Lexicon {
  /** @param {Rules} rules @param {(number: number) => Float32Array} directionOf the direction of a class */
  constructor(rules, directionOf) {
    this.rules = rules;
    this.directionOf = directionOf;
    this.stopWords = new Set(rules.stop_words);
  }

  /** The unit vector of words; several names are averaged, the longest are found first. @param {string} text */
  vectorOf(text) {
    const words = spelling(text).split(" ").filter(Boolean);
    if (words.length > this.rules.most_words) {
      throw new UnknownWord("", `that is more than ${this.rules.most_words} words: name what matters`);
    }
    const found = [];
    for (let at = 0; at < words.length; ) {
      const { end, meanings } = this.longestFrom(words, at);
      if (meanings) found.push(this.meant(meanings));
      else if (!this.stopWords.has(words[at])) {
        throw new UnknownWord(words[at], `the model has no word “${words[at]}”`);
      }
      at = end;
    }
    const sum = found.length
      ? unit(
          weighted(
            found,
            found.map(() => 1),
          ),
        )
      : null;
    if (!sum) throw new UnknownWord("", "name a thing, such as daisy or dog");
    return sum;
  }

  /** @param {string[]} words @param {number} at */
  longestFrom(words, at) {
    for (let end = words.length; end > at; end--) {
      const meanings = this.find(words.slice(at, end).join(" "));
      if (meanings) return { end, meanings };
    }
    return { end: at + 1, meanings: null };
  }

  /** The meanings of a name, singular or plural. @param {string} phrase */
  find(phrase) {
    const { terms, plurals, endings } = this.rules;
    const forms = [phrase];
    for (const [ending, singular] of endings) {
      if (phrase.endsWith(ending)) forms.push(phrase.slice(0, phrase.length - ending.length) + singular);
    }
    const [last, ...before] = phrase.split(" ").reverse();
    forms.push([...before.reverse(), Object.hasOwn(plurals, last) ? plurals[last] : last].join(" "));
    const known = forms.find((form) => Object.hasOwn(terms, form));
    return known === undefined ? null : terms[known];
  }

  /** The meanings averaged as often as each is meant. @param {[number, number[]][]} meanings */
  meant(meanings) {
    const vectors = meanings.map(([, classes]) => {
      const directions = classes.map(this.directionOf);
      return /** @type {Float32Array} */ (
        unit(
          weighted(
            directions,
            directions.map(() => 1),
          ),
        )
      );
    });
    return /** @type {Float32Array} */ (
      unit(
        weighted(
          vectors,
          meanings.map(([count]) => count + 1),
        ),
      )
    );
  }
}

/** Lower case, 's as s, and one space for anything else that is no letter or digit. @param {string} name */
function spelling(name) {
  return name
    .toLowerCase()
    .replace(/['’]s(?![\p{L}\p{N}_])/gu, "s")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
}

/** @param {Float32Array[]} vectors @param {number[]} weights */
function weighted(vectors, weights) {
  const sum = new Float32Array(vectors[0].length);
  vectors.forEach((vector, i) => vector.forEach((value, d) => (sum[d] += weights[i] * value)));
  return sum;
}
