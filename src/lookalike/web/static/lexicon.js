// Words to vectors, by the rules of `lookalike.models.words`, whose tables are part of the site.

import { misspelled } from "./spelling.js";
import { unit } from "./vectors.js";

/**
 * @typedef {{terms: Record<string, [count: number, classes: number[]][]>, plurals: Record<string, string>,
 *   endings: [string, string][], stop_words: string[], most_words: number, biases: number[],
 *   related: Record<string, string[]>, kinds: Record<string, string>, least_likeness: number}} Rules
 */

// The mean length of features of photographs; the log-odds that a name is there, by the cosine.
const USUAL_LENGTH = 14.5;
const OF_COSINE = [20, -3.3];

/** A text without a vector: `word` is unknown, or empty if there is nothing to search for. */
export class UnknownWord extends Error {
  /** @param {string} word @param {string} message */
  constructor(word, message) {
    super(message);
    this.word = word;
  }
}

export class Lexicon {
  readsText = false;
  anyText = false;

  /** @param {Rules} rules @param {(number: number) => Float32Array} directionOf the direction of a class
   * @param {(number: number, vector: Float32Array) => number} scoreOf what the classifier gives it for a picture */
  constructor(rules, directionOf, scoreOf) {
    this.rules = rules;
    this.directionOf = directionOf;
    this.scoreOf = scoreOf;
    this.stopWords = new Set(rules.stop_words);
    this.latest = { text: "", vector: new Float32Array() }; // all pictures are asked about one text in turn
  }

  /** The unit vector of words; several names are averaged, matching the longest first. @param {string} text */
  vectorOf(text) {
    const found = this.namesIn(text).map((meanings) => this.meant(meanings));
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

  /** How likely a picture shows all that a text names, from 0 to 1. @param {string} text
   * @param {Float32Array} vector of unit length */
  presence(text, vector) {
    const odds = this.rules.biases.map((bias, number) =>
      Math.exp(this.scoreOf(number, vector) * USUAL_LENGTH + bias),
    );
    const total = odds.reduce((sum, one) => sum + one, 0);
    const names = this.namesIn(text).map((meanings) => new Set(meanings.flatMap(([, classes]) => classes)));
    const least = Math.min(...names.map((classes) => [...classes].reduce((sum, one) => sum + odds[one], 0)));
    const chance = Math.min(Math.max((least / total) * names.length, 1e-6), 1 - 1e-6);
    if (this.latest.text !== text) this.latest = { text, vector: this.vectorOf(text) };
    const cosine = this.latest.vector.reduce((sum, value, d) => sum + value * vector[d], 0);
    return 1 / (1 + ((1 - chance) / chance) * Math.exp(-(OF_COSINE[0] * cosine + OF_COSINE[1])));
  }

  /** The nearest known terms above a word that only the dictionary knows. @param {string} word
   * @returns {string[]} */
  kindsAbove(word) {
    const { related } = this.rules;
    const known = this.formsOf(word).find((form) => Object.hasOwn(related, form));
    return known === undefined ? [] : related[known];
  }

  /** How a kind is said in a sentence. @param {string} kind @returns {string} */
  saidOfKind(kind) {
    return this.rules.kinds[kind];
  }

  /** Terms that an unknown word may mean: terms above it, or terms that it misspells. @param {string} word */
  near(word) {
    const { related, terms, least_likeness } = this.rules;
    const close = (/** @type {object} */ known) => misspelled(word, Object.keys(known), least_likeness);
    const above = this.kindsAbove(word);
    if (above.length) return above;
    let meant = close(terms);
    if (!meant.length) meant = close(related);
    return [...new Set(meant.flatMap((one) => (Object.hasOwn(related, one) ? related[one] : [one])))];
  }

  /** The names that begin with some letters, short ones first. @param {string} start */
  complete(start) {
    const found = Object.keys(this.rules.terms).filter((term) => term.startsWith(start));
    found.sort((a, b) => a.split(" ").length - b.split(" ").length || a.length - b.length);
    return found.slice(0, 8).map((word) => ({ word, origin: "model", count: null, said: "" }));
  }

  /** The meanings of each name in a text. @param {string} text */
  namesIn(text) {
    const words = spelling(text).split(" ").filter(Boolean);
    if (words.length > this.rules.most_words) {
      throw new UnknownWord("", `the limit is ${this.rules.most_words} words: use fewer`);
    }
    const found = [];
    for (let at = 0; at < words.length; ) {
      const { end, meanings } = this.longestFrom(words, at);
      if (meanings) found.push(meanings);
      else if (!this.stopWords.has(words[at])) {
        throw new UnknownWord(words[at], `the model does not know the word “${words[at]}”`);
      }
      at = end;
    }
    return found;
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
    const { terms } = this.rules;
    const known = this.formsOf(phrase).find((form) => Object.hasOwn(terms, form));
    return known === undefined ? null : terms[known];
  }

  /** A phrase and its possible singulars. @param {string} phrase */
  formsOf(phrase) {
    const { plurals, endings } = this.rules;
    const forms = [phrase];
    for (const [ending, singular] of endings) {
      if (phrase.endsWith(ending)) forms.push(phrase.slice(0, phrase.length - ending.length) + singular);
    }
    const [last, ...before] = phrase.split(" ").reverse();
    forms.push([...before.reverse(), Object.hasOwn(plurals, last) ? plurals[last] : last].join(" "));
    return forms;
  }

  /** The mean of the meanings, weighted by how often each is meant. @param {[number, number[]][]} meanings */
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

/** Lower case, 's as s, and one space for everything that is not a letter or digit. @param {string} name */
export function spelling(name) {
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
