// One collection of a site: its items, columns and vectors, loaded on demand.

import { HostError } from "../contract.js";
import { matches } from "../filters.js";
import { ClassWords } from "./class-words.js";
import { ColorShares } from "./colors.js";
import { facetsOf } from "./facets.js";
import { fetchBytes, fetchJson, forEach, once, onceEach } from "./files.js";
import { Lexicon } from "./lexicon.js";
import { OwnWords } from "./own-words.js";
import { spelledAlike } from "./spelling.js";
import { TextTower } from "./text-tower.js";
import { parseVectors, VectorSet } from "./vectors.js";

/**
 * @typedef {import("../contract.js").Card} Card
 * @typedef {import("../contract.js").Filter} Filter
 * @typedef {import("../contract.js").Collection & {words: boolean, words_elsewhere?: boolean,
 *   model_words?: boolean, class_words?: boolean, own_words?: boolean, colors?: string[], text?: import("./text-tower.js").Text,
 *   columns: import("../contract.js").Column[], files: {folder: string, chunk_rows: number},
 *   background: import("./confidence.js").Background | null}} Entry
 * @typedef {Record<string, any[]>} Table the columns of some rows, each a list
 */

const CARD_COLUMNS = ["id", "label", "width", "height", "v"];

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
      const vectors = parseVectors(bytes);
      const { rows, scales, dim } = vectors;
      const classes = rules.biases.length;
      // For each hit and each of a thousand classes: so a plain loop, which makes no arrays.
      const scoreOf = (/** @type {number} */ number, /** @type {Float32Array} */ vector) => {
        const start = (classes + number) * dim;
        let sum = 0;
        for (let d = 0; d < dim; d++) sum += rows[start + d] * vector[d];
        return sum * scales[classes + number];
      };
      return new Lexicon(rules, vectorsBy(vectors), scoreOf);
    });
    this.ownWords = once(async () => {
      const tables = await fetchJson(file("own_words.json"));
      const vectorOf = entry.own_words ? await vectorsIn(file("own_words.bin")) : NOTHING;
      return new OwnWords(tables, vectorOf, entry.colors);
    });
    this.classWords = once(async () => {
      const tables = await fetchJson(file("class_words.json"));
      return new ClassWords(tables, await vectorsIn(file("class_words.bin")), this.tower ?? null);
    });
    this.colors = once(async () => {
      return new ColorShares(entry.colors ?? [], new Uint8Array(await fetchBytes(file("colors.bin"))));
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

  /** The collection's words, and the model's if it knows any.
   * @returns {Promise<[OwnWords, import("./own-words.js").ModelWords | null]>} */
  async known() {
    const { model_words, class_words } = this.entry;
    const listed = class_words ? this.classWords() : model_words ? this.lexicon() : null;
    return [await this.ownWords(), (await listed) ?? this.tower ?? null];
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
const vectorsIn = async (path) => vectorsBy(parseVectors(await fetchBytes(path)));

/** @param {ReturnType<typeof parseVectors>} vectors @returns {(number: number) => Float32Array} */
function vectorsBy({ rows, scales, dim }) {
  return (number) => {
    const vector = Float32Array.from(rows.subarray(number * dim, (number + 1) * dim));
    return vector.map((value) => value * scales[number]);
  };
}

/** @param {number} start @param {number} end */
function range(start, end) {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
