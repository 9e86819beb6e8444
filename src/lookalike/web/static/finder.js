// Searches in one collection of a site, with the answers of `lookalike.search`.

import { HostError } from "../contract.js";
import { withMarks } from "../terms.js";
import { chanceOf, COLOR_CANDIDATES } from "./colors.js";
import { FIRST_HITS, NEIGHBOURS, oddsOf, sharpened, WEAK } from "./confidence.js";
import { byConfidence, confidenceIn, isLikeness, isWords, ORDERED, sidesOf } from "./evidence.js";
import { spelling, UnknownWord } from "./lexicon.js";
import { presenceOf } from "./own-words.js";
import { refined } from "./thumbs.js";
import { fromInt8Text, unit } from "./vectors.js";

/**
 * @typedef {import("../contract.js").Filter} Filter
 * @typedef {import("../contract.js").Term} Term
 * @typedef {import("./own-words.js").Meaning} Meaning
 * @typedef {import("./vectors.js").VectorSet} VectorSet
 * @typedef {{row: number, score: number}} Found
 *
 * Where a query points, and what it wants; `query` is null if that is nothing but colours.
 * @typedef {{query: Float32Array | null, sides: import("./evidence.js").Sides, meanings: Map<string, Meaning>,
 *   colors: string[], refined: string}} Direction `refined` is how marks changed it, empty without marks
 */

// A sum shorter than this fraction of its weights is only rounding error.
const CANCELLED = 1e-4;
// Each refinement takes time in proportion to the square of the marks.
const MOST_MARKS = 200;

export class Finder {
  /** @param {import("./shelf.js").Shelf} shelf */
  constructor(shelf) {
    this.shelf = shelf;
    this.entry = shelf.entry;
  }

  /** The most similar items, without those in the query.
   * @param {{terms: Term[], k: number, filters: Filter[]}} wanted */
  async search({ terms, k, filters }) {
    const vectors = await this.shelf.vectors();
    const direction = await this.refinedDirection(terms, vectors);
    const among = await this.shelf.matching(filters);
    const ids = terms.flatMap((term) => ("id" in term ? [term.id] : []));
    const asked = new Set(await Promise.all(ids.map((id) => this.shelf.row(id))));
    const started = performance.now();
    const found = direction.colors.length
      ? await this.colored(direction, k, vectors, among, asked)
      : await this.nearest(direction, k, vectors, among, asked);
    const took_ms = performance.now() - started;
    const cards = found.map(async ({ row, ...hit }) => ({ ...(await this.shelf.card(row)), ...hit }));
    const hits = await Promise.all(cards);
    const best = Math.max(...hits.slice(0, FIRST_HITS).map(({ confidence }) => confidence ?? Infinity));
    const left_out = among ? among.filter((row) => asked.has(row)).length : asked.size;
    return {
      ...{ took_ms, total: this.entry.count, matching: among?.length ?? this.entry.count, left_out, hits },
      words: [...direction.meanings.values()].map(({ text, words, unknown }) => ({ text, words, unknown })),
      ...{ chance: hits.length > 0 && best < WEAK, refined: direction.refined },
    };
  }

  /** The nearest rows; those of words by their confidence. @param {Direction} direction @param {number} k
   * @param {VectorSet} vectors @param {Uint32Array | null} among @param {Set<number>} asked */
  async nearest(direction, k, vectors, among, asked) {
    const { sides, refined } = direction;
    const ofWords = isWords(sides) && !refined;
    const query = /** @type {Float32Array} */ (direction.query);
    const most = ofWords ? Math.ceil(k / ORDERED) * ORDERED : k;
    const nearest = vectors.nearest(query, Math.max(most, NEIGHBOURS) + asked.size, among ?? undefined);
    const found = nearest.filter(({ row }) => !asked.has(row)).slice(0, most);
    const own = await this.confidences(direction, found, vectors);
    if (ofWords) return byConfidence(own).slice(0, k).map((i) => ({ ...found[i], confidence: own[i] }));
    const around = among ? vectors.nearest(query, NEIGHBOURS + asked.size) : nearest;
    const near = around.filter(({ row }) => !asked.has(row)).slice(0, NEIGHBOURS);
    const confidences = isLikeness(sides) && !refined ? await this.byLabels(own, found, near) : own;
    return found.map((one, i) => ({ ...one, confidence: confidences[i] }));
  }

  /** The rows that are most likely what is wanted and of its colours. Without anything but colours these are all
   * rows, and the score is the share of pixels; else they are the nearest, and it is the cosine.
   * @param {Direction} direction @param {number} k @param {VectorSet} vectors
   * @param {Uint32Array | null} among @param {Set<number>} asked */
  async colored(direction, k, vectors, among, asked) {
    const shares = await this.shelf.colors();
    const rows = Array.from(among ?? new Array(this.entry.count).keys()).filter((row) => !asked.has(row));
    const { query, colors } = direction;
    const found = query
      ? vectors.nearest(query, Math.max(k, COLOR_CANDIDATES), Uint32Array.from(rows))
      : rows.map((row) => ({ row, score: shares.shareOf(row, colors) }));
    const rest = query ? await this.confidences(direction, found, vectors) : [];
    const hits = found.map(({ row, score }, i) => {
      const confidence = chanceOf(shares.shareOf(row, colors)) * (rest[i] ?? 1);
      return { row, score, confidence };
    });
    return hits.sort((a, b) => b.confidence - a.confidence).slice(0, k);
  }

  /** How likely each hit is what the query asked for; null if there is nothing to compare with.
   * @param {Direction} direction @param {Found[]} found @param {VectorSet} vectors
   * @returns {Promise<(number | null)[]>} */
  async confidences({ sides, meanings }, found, vectors) {
    const { background } = this.entry;
    if (!background) return found.map(() => null);
    const [own, model] = meanings.size ? await this.shelf.known() : [null, null];
    const ofModel = (/** @type {string} */ text, /** @type {Float32Array} */ vector) =>
      model ? model.presence(text, vector) : 0;
    const ofLikeness = (/** @type {number} */ score) =>
      oddsOf(background, score, { ofWords: false, length: 1, weight: 1 });
    const presence = (/** @type {string} */ text, /** @type {Float32Array} */ vector) => {
      const meaning = meanings.get(text);
      return meaning && own ? presenceOf(meaning, own, vector, ofLikeness, ofModel) : 0;
    };
    return found.map(({ row }) => confidenceIn(background, sides, vectors.vectorOf(row), presence));
  }

  /** Confidences that labels improve. @param {(number | null)[]} own @param {Found[]} found
   * @param {Found[]} near the nearest, whose labels vote @returns {Promise<(number | null)[]>} */
  async byLabels(own, found, near) {
    if (!this.entry.background) return own;
    const label = async (/** @type {Found} */ { row }) => (await this.shelf.card(row)).label ?? null;
    const labels = await Promise.all(found.map(label));
    const nearLabels = await Promise.all(near.map(label));
    const votes = near.map(({ score }, i) => ({ score, label: nearLabels[i] }));
    return sharpened(/** @type {number[]} */ (own), labels, votes);
  }

  /** Where a query points that marks on its hits refine; its confidences count these as parts of a sum.
   * @param {Term[]} terms @param {VectorSet} vectors @returns {Promise<Direction>} */
  async refinedDirection(terms, vectors) {
    const { query, like, unlike } = withMarks(terms);
    if (!like.length) return this.direction(terms, vectors);
    if (like.length + unlike.length > MOST_MARKS) {
      const title = "Too many marks";
      throw new HostError("bad-parameter", title, `A query is refined by at most ${MOST_MARKS} pictures.`);
    }
    const alone = await this.direction(query, vectors);
    const liked = like.map((id) => ({ id, weight: 1 / like.length }));
    const unliked = unlike.map((id) => ({ id, weight: -0.5 / unlike.length }));
    const total = await this.direction([...query, ...liked, ...unliked], vectors);
    const of = async (/** @type {string} */ id) => vectors.vectorOf(await this.shelf.row(id));
    const marks = [await Promise.all(like.map(of)), await Promise.all(unlike.map(of))];
    // A query of nothing but colours points nowhere.
    const found = refined(alone.query ?? new Float32Array(vectors.dim), marks[0], marks[1]);
    return { ...total, query: found.vector, refined: found.way };
  }

  /** Where the weighted sum of terms points. @param {Term[]} terms @param {VectorSet} vectors
   * @returns {Promise<Direction>} */
  async direction(terms, vectors) {
    const meanings = await this.meanings(terms);
    const colors = colorsIn(terms, meanings);
    const all = await Promise.all(terms.map((term) => this.termVector(term, vectors, meanings)));
    const numbers = terms.map((_, i) => i).filter((i) => all[i].some(Boolean)); // colours have no direction
    const sum = new Float32Array(vectors.dim);
    let weights = 0;
    for (const i of numbers) {
      all[i].forEach((value, d) => (sum[d] += terms[i].weight * value));
      weights += Math.abs(terms[i].weight);
    }
    const length = Math.hypot(...sum);
    const query = length < CANCELLED * weights ? null : unit(sum);
    const ofColors = colors.length && !numbers.length;
    if (!query && !ofColors) {
      throw new HostError(
        "bad-parameter",
        "The terms cancel each other out",
        "Change a weight or leave one out.",
      );
    }
    const sides = sidesOf(
      numbers.map((i) => terms[i]),
      numbers.map((i) => all[i]),
    );
    return { query, sides, meanings, colors, refined: "" };
  }

  /** @param {Term} term @param {VectorSet} vectors @param {Map<string, Meaning>} meanings */
  async termVector(term, vectors, meanings) {
    if ("id" in term) return vectors.vectorOf(await this.shelf.row(term.id));
    if ("text" in term) return /** @type {Meaning} */ (meanings.get(term.text)).vector;
    const vector = unit(fromInt8Text(term.vector_int8));
    if (vector?.length === vectors.dim) return vector;
    const detail = `It has ${vector?.length ?? 0} numbers, those here have ${vectors.dim}.`;
    throw new HostError("bad-parameter", "That vector does not belong to this collection", detail);
  }

  /** What the texts of a query mean. @param {Term[]} terms */
  async meanings(terms) {
    /** @type {Map<string, Meaning>} */
    const found = new Map();
    for (const term of terms) if ("text" in term) found.set(term.text, await this.meaning(term.text));
    return found;
  }

  /** @param {string} text */
  async meaning(text) {
    const { words, words_elsewhere } = this.entry;
    if (!words) {
      throw words_elsewhere
        ? new HostError(
            "no-words",
            "You cannot search by words here",
            "Words need a server: lookalike serve. Search by a picture here.",
          )
        : new HostError(
            "unknown-word",
            "You cannot search by words here",
            `The model ${this.entry.model} does not know words; search by a picture.`,
          );
    }
    const [own, model] = await this.shelf.known();
    try {
      return await own.meaningOf(text, model, this.entry.dim);
    } catch (error) {
      if (!(error instanceof UnknownWord)) throw error;
      const { word } = error;
      const nearest = word && model ? await this.shown(model, model.near(word)) : [];
      const all = [...new Set([...(word ? own.near(word) : []), ...nearest])];
      const detail = words_elsewhere ? "Other words need a server: lookalike serve." : error.message;
      const who = words_elsewhere ? "This site" : "The model";
      throw new HostError("unknown-word", `${who} does not know that word`, detail, all);
    }
  }

  /** The words to search for that begin with some letters, the collection's own first. @param {string} start */
  async words(start) {
    const [own, model] = await this.shelf.known();
    const wanted = spelling(start);
    return wanted ? [...own.complete(wanted), ...(model?.complete(wanted) ?? [])].slice(0, 8) : [];
  }

  /** Keep the words that have a picture. @param {import("./own-words.js").ModelWords} model
   * @param {string[]} words */
  async shown(model, words) {
    const vectors = await this.shelf.vectors();
    const found = [];
    for (const word of words) {
      const near = vectors.nearest(await model.vectorOf(word), NEIGHBOURS);
      if (near.some(({ row }) => model.presence(word, vectors.vectorOf(row)) >= 0.5)) found.push(word);
    }
    return found;
  }
}

/** The colours of all texts. @param {Term[]} terms @param {Map<string, Meaning>} meanings */
function colorsIn(terms, meanings) {
  const colors = new Set();
  for (const term of terms) {
    const own = "text" in term ? (meanings.get(term.text)?.colors ?? []) : [];
    if (own.length && term.weight < 0) {
      throw new HostError("bad-parameter", "A colour cannot be unwanted", `Leave out: ${own.join(", ")}.`);
    }
    for (const color of own) colors.add(color);
  }
  return [...colors];
}
