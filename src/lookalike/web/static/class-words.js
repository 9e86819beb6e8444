// The classes that a model was taught, as words: the rules of `lookalike.models.class_words`.

import { spelling, UnknownWord } from "./lexicon.js";
import { AnyText, OwnWords, presenceOf } from "./own-words.js";

/** @typedef {import("./own-words.js").ModelWords} ModelWords */

export class ClassWords extends AnyText {
  /** @param {import("./own-words.js").Tables} tables @param {(number: number) => Float32Array} vectorOf
   * @param {ModelWords | null} otherwise what a text with other words is asked of */
  constructor(tables, vectorOf, otherwise) {
    super(); // its names stand in `vectorOf` only, so that a text of several goes to it as a whole
    this.words = new OwnWords(tables, vectorOf);
    this.otherwise = otherwise;
    this.readsText = Boolean(otherwise?.readsText);
  }

  /** The mean of the names in a text. @param {string} text */
  vectorOf(text) {
    const ofNames = () => this.meant(text).vector;
    return this.orElse(ofNames, (other) => other.vectorOf(text));
  }

  /** How likely a picture shows all that a text names. @param {string} text @param {Float32Array} vector */
  presence(text, vector) {
    const none = () => 0;
    const ofNames = () => presenceOf(this.meant(text), this.words, vector, none, none);
    return this.orElse(ofNames, (other) => other.presence(text, vector));
  }

  /** @template R @param {() => R} ofNames @param {(other: ModelWords) => R} ofOther @returns {R} */
  orElse(ofNames, ofOther) {
    try {
      return ofNames();
    } catch (error) {
      if (!(error instanceof UnknownWord) || !error.word || !this.otherwise) throw error;
      return ofOther(this.otherwise);
    }
  }

  /** @param {string} text */
  meant(text) {
    const { own, unknown } = this.words.split(spelling(text).split(" ").filter(Boolean), null);
    if (unknown.length) throw new UnknownWord(unknown[0], `the model does not know the word “${unknown[0]}”`);
    return this.words.ofOwn(text, own);
  }

  /** @param {string} word */
  near(word) {
    return this.words.near(word);
  }

  /** @param {string} start */
  complete(start) {
    return this.words.complete(start);
  }
}
