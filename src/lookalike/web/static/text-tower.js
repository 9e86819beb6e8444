// The text tower of a model: any text to a vector, and how likely a picture shows it, by the rules of
// `lookalike.models.text_tower` and `tower_words`. Nothing is loaded before the first text.

import { HostError } from "../contract.js";
import { fetchBytes, once, SITE } from "./files.js";
import { directed } from "./head.js";
import { UnknownWord } from "./lexicon.js";
import { AnyText } from "./own-words.js";
import { fetchChecked, openNetwork } from "./runtime.js";
import { maskOf, tokenizerOf, withoutPadding } from "./tokens.js";
import { parseVectors } from "./vectors.js";

/**
 * `rivals` is the file of the vectors that a text competes with, except those at least `least_of_kin` similar;
 * `examples` are texts and their tokens in Python.
 * @typedef {import("./tokens.js").TokenOptions & {prompts: string[], logit_scale: number, least_of_kin: number,
 *   takes_mask: boolean, cuts_padding: boolean, output: string, input: {name: string, type: "int64" | "int32", batch: number | null},
 *   checksums: Record<string, string>, examples: [string, number[]][]}} Text
 */

const MOST_CHARACTERS = 5000;
const AT_ONCE = 16;
const MOST_ODDS = 500;

export class TextTower extends AnyText {
  readsText = true;

  /** @param {Text} text @param {string} rivals the file of the background words' vectors */
  constructor(text, rivals) {
    super();
    this.text = text;
    this.rivals = { rows: new Float32Array(), count: 0, dim: 0 };
    /** @type {Map<string, Float32Array>} */
    this.known = new Map();
    /** @type {{text: string, kin: boolean[]}} */
    this.latest = { text: "", kin: [] }; // all pictures are asked about one text in turn
    this.load = once(async () => {
      const library = new URL("model/tokenizers.js", SITE).href;
      const { "text.onnx": ofTower, "tokenizer.json": ofTokenizer } = text.checksums;
      const [{ runtime, session }, module, rules, background] = await Promise.all([
        openNetwork("model/text.onnx", ofTower),
        import(library),
        fetchChecked("model/tokenizer.json", ofTokenizer),
        fetchBytes(rivals),
      ]);
      const { rows, count, dim } = parseVectors(background);
      this.rivals = { rows: Float32Array.from(rows), count, dim };
      return { runtime, session, tokens: checkedTokenizer(module, rules, text) };
    });
  }

  /** The unit vector of a text: the direction of the mean over the prompts. @param {string} given */
  async vectorOf(given) {
    const text = given.trim();
    if (!text) throw new UnknownWord("", "describe what the picture shows: a red car at night");
    if (text.length > MOST_CHARACTERS)
      throw new UnknownWord("", `the limit is ${MOST_CHARACTERS} characters: use a shorter text`);
    const known = this.known.get(text);
    if (known) return known;
    const { runtime, session, tokens } = await this.load();
    const ids = this.text.prompts.map((prompt) => tokens(prompt.replace("{}", () => text)));
    const vectors = [];
    const step = this.text.input.batch ?? Math.min(AT_ONCE, ids.length);
    for (let at = 0; at < ids.length; at += step)
      vectors.push(...(await this.encoded(runtime, session, ids.slice(at, at + step), step)));
    const sum = new Float32Array(vectors[0].length);
    for (const vector of vectors) vector.forEach((value, d) => (sum[d] += value / vectors.length));
    const vector = directed(sum);
    this.known.set(text, vector);
    return vector;
  }

  /** The unit vectors of some texts. @param {any} runtime @param {any} session @param {number[][]} ids
   * @param {number} batch the number of texts that the network takes; the last is repeated */
  async encoded(runtime, session, ids, batch) {
    const { input, output, takes_mask, cuts_padding, pad_id } = this.text;
    const whole = Array.from({ length: batch }, (_, i) => ids[Math.min(i, ids.length - 1)]);
    const rows = cuts_padding ? withoutPadding(whole, pad_id) : whole;
    const shape = [batch, rows[0].length];
    const tensor = (/** @type {number[][]} */ values) =>
      input.type === "int64"
        ? new runtime.Tensor("int64", BigInt64Array.from(values.flat(), BigInt), shape)
        : new runtime.Tensor("int32", Int32Array.from(values.flat()), shape);
    const feeds = { [input.name]: tensor(rows) };
    if (takes_mask) feeds.attention_mask = tensor(rows.map((one) => maskOf(one, this.text)));
    const { data, dims } = (await session.run(feeds, [output]))[output];
    return ids.map((_, i) => directed(data.slice(i * dims[1], (i + 1) * dims[1])));
  }

  /** How likely a picture shows what a text names, from 0 to 1: against the background words, in a softmax.
   * @param {string} given a text that has a vector already @param {Float32Array} vector of unit length */
  presence(given, vector) {
    const text = given.trim();
    const wanted = /** @type {Float32Array} */ (this.known.get(text));
    const { logit_scale, least_of_kin } = this.text;
    if (this.latest.text !== text) {
      const kin = Array.from({ length: this.rivals.count }, (_, i) => this.ofRival(i, wanted) >= least_of_kin);
      this.latest = { text, kin };
    }
    const scores = this.latest.kin.map((_, i) => logit_scale * this.ofRival(i, vector));
    const most = Math.max(...scores);
    const sum = scores.reduce((total, score, i) => total + (this.latest.kin[i] ? 0 : Math.exp(score - most)), 0);
    const own = logit_scale * wanted.reduce((total, value, d) => total + value * vector[d], 0);
    const against = Math.log(Math.max(sum, 1e-300)) + most - own;
    return 1 / (1 + Math.exp(Math.min(Math.max(against, -MOST_ODDS), MOST_ODDS)));
  }

  /** The product of a background word's vector with another. @param {number} number @param {Float32Array} vector */
  ofRival(number, vector) {
    const { rows, dim } = this.rivals;
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += rows[number * dim + d] * vector[d];
    return sum;
  }
}

/** The tokenizer, if it converts the examples as Python does. @param {any} module @param {ArrayBuffer} rules
 * @param {Text} text */
function checkedTokenizer(module, rules, text) {
  const detail = "Its tokenizer does not run in a browser as it does in Python: lookalike serve";
  const failure = () => new HostError("no-words", "The model's words need a server", detail);
  try {
    const tokens = tokenizerOf(module, JSON.parse(new TextDecoder().decode(rules)), text);
    const agrees = text.examples.every(([example, ids]) => tokens(example).join() === ids.join());
    if (agrees) return tokens;
  } catch {
    throw failure(); // a part that this library does not know
  }
  throw failure();
}
