// The collection's own words, and what a text means: the rules of `lookalike.search.lexicon`.

import { spelling, UnknownWord } from "./lexicon.js";
import { misspelled } from "./spelling.js";
import { unit } from "./vectors.js";

/**
 * @typedef {{word: string, origin: string, count: number | null, said: string}} Word
 * @typedef {Word & {slope: number | null, intercept: number}} OwnWord
 * @typedef {{words: OwnWord[], spellings: Record<string, number>, endings: [string, string][],
 *   stop_words: string[], most_words: number}} Tables
 * @typedef {{text: string, words: Word[], unknown: string[], vector: Float32Array, own: number[],
 *   ofModel: string, most: number}} Meaning
 */

const MOST_OF_A_GUESS = 0.3;
const LEAST_LIKENESS = 0.8;

export class OwnWords {
  /** @param {Tables} tables @param {(number: number) => Float32Array} vectorOf */
  constructor(tables, vectorOf) {
    this.tables = tables;
    this.vectorOf = vectorOf;
    this.stopWords = new Set(tables.stop_words);
  }

  /** The number of the word that a spelled phrase means, singular or plural. @param {string} phrase */
  find(phrase) {
    const { spellings, endings } = this.tables;
    const forms = [phrase];
    for (const [ending, singular] of endings) {
      if (phrase.endsWith(ending)) forms.push(phrase.slice(0, phrase.length - ending.length) + singular);
    }
    const known = forms.find((form) => Object.hasOwn(spellings, form));
    return known === undefined ? null : spellings[known];
  }

  /** What a text means: own words, then the model's, then a guess. @param {string} text
   * @param {import("./lexicon.js").Lexicon | null} lexicon @returns {Meaning} */
  meaningOf(text, lexicon) {
    const words = spelling(text).split(" ").filter(Boolean);
    if (words.length > this.tables.most_words) {
      throw new UnknownWord("", `the limit is ${this.tables.most_words} words: use fewer`);
    }
    const { own, names, unknown } = this.split(words, lexicon);
    if (!own.length && !names.length) return this.guess(text, unknown, lexicon);
    const known = own.map((number) => this.tables.words[number]);
    const parts = names.map((word) => ({ word, origin: "model", count: null, said: "" }));
    const vectors = own.map((number) => this.vectorOf(number));
    for (const name of names)
      vectors.push(/** @type {import("./lexicon.js").Lexicon} */ (lexicon).vectorOf(name));
    const said = known.map(({ word, origin, count, said }) => ({ word, origin, count, said }));
    const vector = mean(vectors);
    return { text, words: [...said, ...parts], unknown, vector, own, ofModel: names.join(" "), most: 1 };
  }

  /** @param {string[]} words @param {import("./lexicon.js").Lexicon | null} lexicon */
  split(words, lexicon) {
    /** @type {Set<number>} */
    const own = new Set();
    /** @type {string[]} */
    const names = [];
    /** @type {string[]} */
    const unknown = [];
    for (let at = 0; at < words.length; ) {
      const { end, number, name } = this.longest(words, at, lexicon);
      if (number !== null) own.add(number);
      else if (name) names.push(name);
      else if (!this.stopWords.has(words[at])) unknown.push(words[at]);
      at = end;
    }
    return { own: [...own], names, unknown };
  }

  /** The longest name from a word on; an own word goes before the model's. @param {string[]} words
   * @param {number} at @param {import("./lexicon.js").Lexicon | null} lexicon */
  longest(words, at, lexicon) {
    for (let end = words.length; end > at; end--) {
      const phrase = words.slice(at, end).join(" ");
      const number = this.find(phrase);
      if (number !== null) return { end, number, name: "" };
      if (lexicon?.find(phrase)) return { end, number, name: phrase };
    }
    return { end: at + 1, number: null, name: "" };
  }

  /** @param {string} text @param {string[]} unknown @param {import("./lexicon.js").Lexicon | null} lexicon
   * @returns {Meaning} */
  guess(text, unknown, lexicon) {
    if (!unknown.length) throw new UnknownWord("", "name a thing, such as daisy or dog");
    const guessed = unknown.filter((word) => lexicon?.kindsAbove(word).length);
    if (!lexicon || !guessed.length) {
      throw new UnknownWord(unknown[0], `the model does not know the word “${unknown[0]}”`);
    }
    const words = guessed.map((word) => {
      const kinds = lexicon.kindsAbove(word).map((kind) => lexicon.rules.kinds[kind]);
      const said = `${word}: a guess, by ${kinds.join("; or by ")}`;
      return { word, origin: "guess", count: null, said };
    });
    const ofModel = [...new Set(guessed.flatMap((word) => lexicon.kindsAbove(word)))].join(" ");
    const left = unknown.filter((word) => !guessed.includes(word));
    const vector = lexicon.vectorOf(ofModel);
    return { text, words, unknown: left, vector, own: [], ofModel, most: MOST_OF_A_GUESS };
  }

  /** Own words that an unknown one may be a misspelling of. @param {string} word */
  near(word) {
    const { spellings, words } = this.tables;
    const close = misspelled(word, Object.keys(spellings), LEAST_LIKENESS);
    return close.map((text) => words[spellings[text]].word);
  }

  /** The words that begin with some letters. @param {string} start @returns {Word[]} */
  complete(start) {
    return this.tables.words.filter(({ word }) => spelling(word).startsWith(start));
  }
}

/** No words. */
export const NO_WORDS = { words: [], spellings: {}, endings: [], stop_words: [], most_words: 50 };

/** How likely a picture shows what is meant, from 0 to 1. @param {Meaning} meaning @param {OwnWords} ownWords
 * @param {Float32Array} vector of the picture @param {(score: number) => number} ofLikeness the log-odds of a cosine
 * with a picture @param {(text: string, vector: Float32Array) => number} ofModel */
export function presenceOf(meaning, ownWords, vector, ofLikeness, ofModel) {
  const { own, most } = meaning;
  let least = most;
  for (const number of own) {
    const { slope, intercept } = ownWords.tables.words[number];
    const score = ownWords.vectorOf(number).reduce((sum, value, d) => sum + value * vector[d], 0);
    const odds = slope === null ? ofLikeness(score) : slope * score + intercept;
    least = Math.min(least, 1 / (1 + Math.exp(-odds)));
  }
  return meaning.ofModel ? Math.min(least, ofModel(meaning.ofModel, vector)) : least;
}

/** @param {Float32Array[]} vectors @returns {Float32Array} */
function mean(vectors) {
  const sum = new Float32Array(vectors[0].length);
  for (const vector of vectors) vector.forEach((value, d) => (sum[d] += value));
  return /** @type {Float32Array} */ (unit(sum));
}
