// One collection of a site: its items, columns and vectors, loaded on demand.

import { HostError } from "../contract.js";
import { matches } from "../filters.js";
import { ClassWords } from "./class-words.js";
import { NEIGHBOURS, oddsOf, sharpened, WEAK } from "./confidence.js";
import { ORDERED, byConfidence, confidenceIn, isLikeness, isWords, sidesOf } from "./evidence.js";
import { facetsOf } from "./facets.js";
import { fetchBytes, fetchJson, forEach, once, onceEach } from "./files.js";
import { Lexicon, spelling, UnknownWord } from "./lexicon.js";
import { OwnWords, presenceOf } from "./own-words.js";
import { spelledAlike } from "./spelling.js";
import { TextTower } from "./text-tower.js";
import { fromInt8Text, parseVectors, unit, VectorSet } from "./vectors.js";

/**
 * @typedef {import("../contract.js").Card} Card
 * @typedef {import("../contract.js").Filter} Filter
 * @typedef {import("../contract.js").Term} Term
 * @typedef {import("../contract.js").Collection & {words: boolean, words_elsewhere?: boolean,
 *   model_words?: boolean, class_words?: boolean, own_words?: boolean, text?: import("./text-tower.js").Text,
 *   columns: import("../contract.js").Column[], files: {folder: string, chunk_rows: number},
 *   background: import("./confidence.js").Background | null}} Entry
 * @typedef {Record<string, any[]>} Table the columns of some rows, each a list
 */

const CARD_COLUMNS = ["id", "label", "width", "height", "v"];
// A sum shorter than this fraction of its weights is only rounding error.
const CANCELLED = 1e-4;

export class Shelf {
  /** @param {Entry} entry @param {(done: number, total: number) => void} onProgress of the vectors, in bytes */
  constructor(entry, onProgress) {
    this.entry = entry;
    this.chunks = Math.ceil(entry.count / entry.files.chunk_rows);
    const file = (/** @type {string} */ path) => `${entry.files.folder}${path}`;
    const name = (/** @type {number} */ chunk) => String(chunk).padStart(5, "0");
    this.cards = onceEach((chunk) => fetchJson(file(`cards/${name(chunk)}.json`)));
    this.others = onceEach((chunk) => fetchJson(file(`columns/${name(chunk)}.json`)));
    this.vectors = once(async () => {
      const center = parseVectors(await fetchBytes(file("vectors/center.bin")));
      const set = new VectorSet(entry.count, Float32Array.from(center.rows));
      let done = 0;
      await forEach(this.chunks, async (chunk) => {
        const bytes = await fetchBytes(file(`vectors/${name(chunk)}.bin`));
        set.add(parseVectors(bytes));
        onProgress((done += bytes.byteLength), entry.count * (entry.dim + 4));
      });
      return set;
    });
    this.lexicon = once(async () => {
      const [rules, bytes] = await Promise.all([
        fetchJson(file("words.json")),
        fetchBytes(file("words.bin")),
      ]);
      const { rows, scales, dim } = parseVectors(bytes);
      const vectorOf = (/** @type {number} */ number) => {
        const vector = Float32Array.from(rows.subarray(number * dim, (number + 1) * dim));
        return vector.map((value) => value * scales[number]);
      };
      const classes = rules.biases.length;
      // For each hit and each of a thousand classes: so a plain loop, which makes no arrays.
      const scoreOf = (/** @type {number} */ number, /** @type {Float32Array} */ vector) => {
        const start = (classes + number) * dim;
        let sum = 0;
        for (let d = 0; d < dim; d++) sum += rows[start + d] * vector[d];
        return sum * scales[classes + number];
      };
      return new Lexicon(rules, vectorOf, scoreOf);
    });
    this.ownWords = once(async () => {
      const tables = await fetchJson(file("own_words.json"));
      return new OwnWords(tables, entry.own_words ? await vectorsIn(file("own_words.bin")) : NOTHING);
    });
    this.classWords = once(async () => {
      const tables = await fetchJson(file("class_words.json"));
      return new ClassWords(tables, await vectorsIn(file("class_words.bin")));
    });
    const { text } = entry;
    this.tower = text && new TextTower(text, file("rivals.bin"));
    this.column = onceEach((name) => this.wholeColumn(name));
    this.rowOf = once(async () => new Map((await this.column("id")).map((id, row) => [id, row])));
  }

  /** The values of all rows. @param {string} name @returns {Promise<any[]>} */
  async wholeColumn(name) {
    const isOnCards = CARD_COLUMNS.includes(name) && name !== "v"; // a source may have a column named v, too
    const load = isOnCards ? this.cards : this.others;
    const values = new Array(this.entry.count).fill(null);
    await forEach(this.chunks, async (chunk) => {
      const column = (await load(chunk))[name] ?? []; // some parts may lack a column
      const start = chunk * this.entry.files.chunk_rows;
      for (let i = 0; i < column.length; i++) values[start + i] = column[i];
    });
    return values;
  }

  /** @param {{offset: number, limit: number, filters: Filter[]}} wanted */
  async items({ offset, limit, filters }) {
    const rows = await this.matching(filters);
    const total = rows ? rows.length : this.entry.count;
    const end = Math.min(offset + limit, total);
    const shown = rows ? rows.slice(offset, end) : range(offset, end);
    return { total, offset, items: await Promise.all(Array.from(shown, (row) => this.card(row))) };
  }

  /** All columns of an item. @param {string} id */
  async item(id) {
    const row = await this.row(id);
    const [chunk, at] = this.place(row);
    const other = Object.entries(/** @type {Table} */ (await this.others(chunk)));
    return {
      ...(await this.card(row)),
      ...Object.fromEntries(other.map(([name, values]) => [name, values[at]])),
    };
  }

  /** @param {{filters: Filter[]}} chosen */
  async facets({ filters }) {
    const rows = await this.matching(filters);
    const columns = new Map();
    for (const { name } of this.entry.columns) {
      const values = await this.column(name);
      columns.set(name, rows ? Array.from(rows, (row) => values[row]) : values);
    }
    const total = rows ? rows.length : this.entry.count;
    return { total, columns: facetsOf(this.entry.columns, (name) => columns.get(name)) };
  }

  /** The most similar items, without those in the query.
   * @param {{terms: Term[], k: number, filters: Filter[]}} wanted */
  async search({ terms, k, filters }) {
    const vectors = await this.vectors();
    const meanings = await this.meanings(terms);
    const { query, sides } = await this.query(terms, vectors, meanings);
    const among = await this.matching(filters);
    const asked = new Set(
      await Promise.all(terms.flatMap((term) => ("id" in term ? this.row(term.id) : []))),
    );
    const started = performance.now();
    const most = isWords(sides) ? Math.ceil(k / ORDERED) * ORDERED : k;
    const nearest = vectors.nearest(query, Math.max(most, NEIGHBOURS) + asked.size, among ?? undefined);
    const found = nearest.filter(({ row }) => !asked.has(row)).slice(0, most);
    const took_ms = performance.now() - started;
    const { count } = this.entry;
    const around = among ? vectors.nearest(query, NEIGHBOURS + asked.size) : nearest;
    const near = around.filter(({ row }) => !asked.has(row)).slice(0, NEIGHBOURS);
    const confidences = await this.confidences(sides, found, near, vectors, meanings);
    const order = isWords(sides) ? byConfidence(confidences) : found.map((_, i) => i);
    const hits = await Promise.all(
      order.slice(0, k).map(async (i) => ({
        ...(await this.card(found[i].row)),
        score: found[i].score,
        confidence: confidences[i],
      })),
    );
    const best = hits[0]?.confidence ?? null;
    const matching = among ? among.length : count;
    const left_out = among ? among.filter((row) => asked.has(row)).length : asked.size;
    const words = [...meanings.values()].map(({ text, words, unknown }) => ({ text, words, unknown }));
    return { took_ms, total: count, matching, left_out, hits, words, chance: best !== null && best < WEAK };
  }

  /** How likely each hit is what the query asked for; null if there is nothing to compare with.
   * @param {import("./evidence.js").Sides} sides @param {{row: number, score: number}[]} found
   * @param {{row: number, score: number}[]} near @param {VectorSet} vectors
   * @param {Map<string, import("./own-words.js").Meaning>} meanings @returns {Promise<(number | null)[]>} */
  async confidences(sides, found, near, vectors, meanings) {
    const { background } = this.entry;
    if (!background) return found.map(() => null);
    const [own_words, model] = meanings.size ? await this.known() : [null, null];
    const ofModel = (/** @type {string} */ text, /** @type {Float32Array} */ vector) =>
      model ? model.presence(text, vector) : 0;
    const ofLikeness = (/** @type {number} */ score) =>
      oddsOf(background, score, { ofWords: false, length: 1, weight: 1 });
    const presence = (/** @type {string} */ text, /** @type {Float32Array} */ vector) => {
      const meaning = meanings.get(text);
      return meaning && own_words ? presenceOf(meaning, own_words, vector, ofLikeness, ofModel) : 0;
    };
    const own = found.map(({ row }) => confidenceIn(background, sides, vectors.vectorOf(row), presence));
    if (!isLikeness(sides)) return own;
    const label = async (/** @type {{row: number}} */ { row }) => (await this.card(row)).label ?? null;
    const labels = await Promise.all(found.map(label));
    const nearLabels = await Promise.all(near.map(label));
    const votes = near.map(({ score }, i) => ({ score, label: nearLabels[i] }));
    return sharpened(own, labels, votes);
  }

  /** The unit vector of a weighted sum, and its two sides. @param {Term[]} terms @param {VectorSet} vectors
   * @param {Map<string, import("./own-words.js").Meaning>} meanings */
  async query(terms, vectors, meanings) {
    const sum = new Float32Array(vectors.dim);
    const all = await Promise.all(terms.map((term) => this.termVector(term, vectors, meanings)));
    let weights = 0;
    for (const [i, term] of terms.entries()) {
      const vector = all[i];
      vector.forEach((value, d) => (sum[d] += term.weight * value));
      weights += Math.abs(term.weight);
    }
    const length = Math.hypot(...sum);
    const query = length < CANCELLED * weights ? null : unit(sum);
    if (query) return { query, sides: sidesOf(terms, all) };
    throw new HostError(
      "bad-parameter",
      "The terms cancel each other out",
      "Change a weight or leave one out.",
    );
  }

  /** @param {Term} term @param {VectorSet} vectors
   * @param {Map<string, import("./own-words.js").Meaning>} meanings */
  async termVector(term, vectors, meanings) {
    if ("id" in term) return vectors.vectorOf(await this.row(term.id));
    if ("text" in term)
      return /** @type {import("./own-words.js").Meaning} */ (meanings.get(term.text)).vector;
    const vector = unit(fromInt8Text(term.vector_int8));
    if (vector?.length === vectors.dim) return vector;
    const detail = `It has ${vector?.length ?? 0} numbers, those here have ${vectors.dim}.`;
    throw new HostError("bad-parameter", "That vector does not belong to this collection", detail);
  }

  /** The collection's words, and the model's if it knows any.
   * @returns {Promise<[OwnWords, import("./own-words.js").ModelWords | null]>} */
  async known() {
    const { model_words, class_words } = this.entry;
    const listed = class_words ? this.classWords() : model_words ? this.lexicon() : null;
    return [await this.ownWords(), this.tower ?? (await listed)];
  }

  /** What the texts of a query mean. @param {Term[]} terms */
  async meanings(terms) {
    /** @type {Map<string, import("./own-words.js").Meaning>} */
    const found = new Map();
    for (const term of terms) if ("text" in term) found.set(term.text, await this.meaning(term.text));
    return found;
  }

  /** @param {string} text */
  async meaning(text) {
    if (!this.entry.words && this.entry.words_elsewhere) {
      const detail = "Words need a server: lookalike serve. Search by a picture here.";
      throw new HostError("no-words", "You cannot search by words here", detail);
    }
    if (!this.entry.words) {
      const detail = `The model ${this.entry.model} does not know words; search by a picture.`;
      throw new HostError("unknown-word", "You cannot search by words here", detail);
    }
    const [own, model] = await this.known();
    try {
      return await own.meaningOf(text, model);
    } catch (error) {
      if (!(error instanceof UnknownWord)) throw error;
      const { word } = error;
      const nearest = word && model ? await this.shown(model, model.near(word)) : [];
      const all = [...new Set([...(word ? own.near(word) : []), ...nearest])];
      const detail = this.entry.words_elsewhere ? "Other words need a server: lookalike serve." : error.message;
      throw new HostError("unknown-word", this.entry.words_elsewhere ? "This site does not know that word" : "The model does not know that word", detail, all);
    }
  }

  /** The words to search for that begin with some letters, the collection's own first. @param {string} start */
  async words(start) {
    const [own, model] = await this.known();
    const wanted = spelling(start);
    return wanted ? [...own.complete(wanted), ...(model?.complete(wanted) ?? [])].slice(0, 8) : [];
  }

  /** Keep the words that have a picture. @param {import("./own-words.js").ModelWords} model
   * @param {string[]} words */
  async shown(model, words) {
    const vectors = await this.vectors();
    const found = [];
    for (const word of words) {
      const near = vectors.nearest(await model.vectorOf(word), NEIGHBOURS);
      if (near.some(({ row }) => model.presence(word, vectors.vectorOf(row)) >= 0.5)) found.push(word);
    }
    return found;
  }

  /** The rows that meet the filters; null for all. @param {Filter[]} filters */
  async matching(filters) {
    if (!filters.length) return null;
    const names = [...new Set(filters.map(({ column }) => column))];
    const columns = await Promise.all(names.map((name) => this.column(name)));
    const rows = [];
    for (let row = 0; row < this.entry.count; row++) {
      const values = Object.fromEntries(names.map((name, i) => [name, columns[i][row]]));
      if (matches(filters, values)) rows.push(row);
    }
    return Uint32Array.from(rows);
  }

  /** The row number of an item. @param {string} id */
  async row(id) {
    const row = (await this.rowOf()).get(id);
    if (row !== undefined) return row;
    const nearest = spelledAlike(id, (await this.rowOf()).keys());
    throw new HostError(
      "unknown-item",
      "There is no such item",
      `${this.entry.name} has no item “${id}”`,
      nearest,
    );
  }

  /** @param {number} row @returns {Promise<Card>} */
  async card(row) {
    const [chunk, at] = this.place(row);
    const cards = /** @type {Table} */ (await this.cards(chunk));
    return /** @type {Card} */ (Object.fromEntries(CARD_COLUMNS.map((name) => [name, cards[name][at]])));
  }

  /** The file that a row is in, and its place there. @param {number} row */
  place(row) {
    const size = this.entry.files.chunk_rows;
    return [Math.floor(row / size), row % size];
  }
}

const NOTHING = () => new Float32Array();

/** The vectors in a file, by number. @param {string} path */
async function vectorsIn(path) {
  const { rows, scales, dim } = parseVectors(await fetchBytes(path));
  return (/** @type {number} */ number) => {
    const vector = Float32Array.from(rows.subarray(number * dim, (number + 1) * dim));
    return vector.map((value) => value * scales[number]);
  };
}

/** @param {number} start @param {number} end */
function range(start, end) {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
