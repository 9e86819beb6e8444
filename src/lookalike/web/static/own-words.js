// The collection's own words, and what a text means: the rules of `lookalike.search.lexicon`.

/**
 * The words of a model: a list of names, or any text (`anyText`). One that `readsText` takes a sentence as a whole.
 * `vectorOf` throws `UnknownWord`; `presence` is asked only about texts that have a vector.
 * @typedef {{readsText: boolean, anyText: boolean, find: (phrase: string) => any,
 *   vectorOf: (text: string) => Float32Array | Promise<Float32Array>,
 *   presence: (text: string, vector: Float32Array) => number, kindsAbove: (word: string) => string[],
 *   saidOfKind: (kind: string) => string,
 *   near: (word: string) => string[], complete: (start: string) => Word[]}} ModelWords
 */

import { colorIn } from "./colors.js";
import { spelling, UnknownWord } from "./lexicon.js";
import { misspelled } from "./spelling.js";
import { unit } from "./vectors.js";

/**
 * @typedef {{word: string, origin: string, count: number | null, said: string}} Word
 * @typedef {Word & {slope: number | null, intercept: number}} OwnWord
 * @typedef {{words: OwnWord[], spellings: Record<string, number>, endings: [string, string][],
 *   stop_words: string[], most_words: number}} Tables
 * @typedef {{text: string, words: Word[], unknown: string[], vector: Float32Array, own: number[],
 *   ofModel: string, most: number, colors: string[]}} Meaning a text of nothing but colours has a vector of zeros
 */

const MOST_OF_A_GUESS = 0.3;
const LEAST_LIKENESS = 0.8;

/** A model that is given texts as a whole, and has no list of words that they are looked up in. */
export class AnyText {
  anyText = true;

  find() {
    return null;
  }
  /** @returns {string[]} */
  kindsAbove() {
    return [];
  }
  saidOfKind() {
    return "";
  }
  /** @param {string} _word @returns {string[]} */
  near(_word) {
    return [];
  }
  /** @param {string} _start @returns {Word[]} */
  complete(_start) {
    return [];
  }
}

export class OwnWords {
  /** @param {Tables} tables @param {(number: number) => Float32Array} vectorOf
   * @param {readonly string[]} colors those that are words here */
  constructor(tables, vectorOf, colors = []) {
    this.tables = tables;
    this.colors = colors;
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
   * @param {ModelWords | null} model @param {number} dim of vectors @returns {Promise<Meaning>} */
  async meaningOf(text, model, dim) {
    const words = spelling(text).split(" ").filter(Boolean);
    if (words.length > this.tables.most_words) {
      throw new UnknownWord("", `the limit is ${this.tables.most_words} words: use fewer`);
    }
    const { own, names, colors, unknown } = this.split(words, model);
    if (model?.anyText && this.areLeftTo(model, words)) {
      try {
        const vector = await model.vectorOf(text);
        return { ...NOTHING, text, words: [wordOfModel(text)], vector, ofModel: text };
      } catch (error) {
        if (!(error instanceof UnknownWord) || !colors.length) throw error;
      }
    }
    const vectors = own.map((number) => this.vectorOf(number));
    const found = [];
    for (const name of names) {
      try {
        vectors.push(await /** @type {ModelWords} */ (model).vectorOf(name));
        found.push(name);
      } catch (error) {
        if (!(error instanceof UnknownWord) || !(own.length || colors.length)) throw error;
        unknown.push(name); // a model that knows some words only
      }
    }
    if (!vectors.length && !colors.length) return this.guess(text, unknown, model);
    const known = own.map((number) => this.tables.words[number]);
    const said = known.map(({ word, origin, count, said }) => ({ word, origin, count, said }));
    const vector = vectors.length ? mean(vectors) : new Float32Array(dim);
    const parts = [...said, ...found.map(wordOfModel), ...colors.map(wordOfColor)];
    return { ...NOTHING, text, words: parts, unknown, vector, own, ofModel: found.join(" "), colors };
  }

  /** What a text of own words means. @param {string} text @param {number[]} own @returns {Meaning} */
  ofOwn(text, own) {
    if (!own.length) throw new UnknownWord("", "name a thing, such as daisy or dog");
    const words = own.map((number) => this.tables.words[number]);
    const vector = mean(own.map((number) => this.vectorOf(number)));
    return { ...NOTHING, text, words, vector, own };
  }

  /** Whether a whole text is the model's, because none of its words is the collection's own. To a text tower a
   * sentence is more than its words: only taught words and whole texts are not its. @param {ModelWords} model
   * @param {string[]} words */
  areLeftTo(model, words) {
    for (let start = 0; start < words.length; start++) {
      for (let end = start + 1; end <= words.length; end++) {
        const number = this.find(words.slice(start, end).join(" "));
        if (number === null) continue;
        const isWhole = end - start === words.length;
        if (!model.readsText || isWhole || this.tables.words[number].origin === "taught") return false;
      }
    }
    return true;
  }

  /** The own words of a text, names for the model, colours and unknown words. @param {string[]} words
   * @param {ModelWords | null} model */
  split(words, model) {
    /** @type {Set<number>} */
    const own = new Set();
    /** @type {string[]} */
    const names = [];
    /** @type {Set<string>} */
    const colors = new Set();
    /** @type {string[]} */
    const unknown = [];
    /** @type {string[]} */
    const rest = []; // words that may be one text for a model that takes any
    for (let at = 0; at < words.length; ) {
      const { end, number, name } = this.longest(words, at, model);
      const isStop = this.stopWords.has(words[at]);
      const color = colorIn(name, this.colors);
      if (number !== null) own.add(number);
      else if (color && !model?.find(name)) colors.add(color);
      else if (name) names.push(name);
      else if (model?.anyText) rest.push(...(isStop && !rest.length ? [] : [words[at]]));
      else if (!isStop) unknown.push(words[at]);
      at = end;
    }
    const all = rest.length ? [...names, rest.join(" ")] : names;
    return { own: [...own], names: all, colors: [...colors], unknown };
  }

  /** The longest name from a word on; an own word goes before the model's. @param {string[]} words
   * @param {number} at @param {ModelWords | null} model */
  longest(words, at, model) {
    for (let end = words.length; end > at; end--) {
      const phrase = words.slice(at, end).join(" ");
      const number = this.find(phrase);
      if (number !== null) return { end, number, name: "" };
      if (model?.find(phrase) || colorIn(phrase, this.colors)) return { end, number, name: phrase };
    }
    return { end: at + 1, number: null, name: "" };
  }

  /** @param {string} text @param {string[]} unknown @param {ModelWords | null} model
   * @returns {Promise<Meaning>} */
  async guess(text, unknown, model) {
    if (!unknown.length) throw new UnknownWord("", "name a thing, such as daisy or dog");
    const guessed = unknown.filter((word) => model?.kindsAbove(word).length);
    if (!model || !guessed.length) {
      throw new UnknownWord(unknown[0], `the model does not know the word “${unknown[0]}”`);
    }
    const words = guessed.map((word) => {
      const kinds = model.kindsAbove(word).map((kind) => model.saidOfKind(kind));
      const said = `${word}: a guess, by ${kinds.join("; or by ")}`;
      return { word, origin: "guess", count: null, said };
    });
    const ofModel = [...new Set(guessed.flatMap((word) => model.kindsAbove(word)))].join(" ");
    const left = unknown.filter((word) => !guessed.includes(word));
    const vector = await model.vectorOf(ofModel);
    return { ...NOTHING, text, words, unknown: left, vector, ofModel, most: MOST_OF_A_GUESS };
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

const NOTHING = { words: [], unknown: [], own: [], ofModel: "", most: 1, colors: [] };

/** A colour. @param {string} word @returns {Word} */
function wordOfColor(word) {
  return { word, origin: "color", count: null, said: `${word}: by the colours of the pictures` };
}

/** A word of the model. @param {string} word @returns {Word} */
function wordOfModel(word) {
  return { word, origin: "model", count: null, said: "" };
}

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
