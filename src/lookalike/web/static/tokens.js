// Texts to tokens, as Python's `tokenizers` makes them with the same tokenizer.json, cut and padded.

/**
 * `context_length` is the number of tokens. `pad_is_end` says that what pads a text also ends it, as in CLIP;
 * `pads_left` that padding comes first.
 * @typedef {{context_length: number, pad_id: number, pad_is_end: boolean, pads_left: boolean,
 *   lower_case: boolean}} TokenOptions
 */

/** @param {any} library the module @huggingface/tokenizers @param {any} rules the content of tokenizer.json
 * @param {TokenOptions} options @returns {(text: string) => number[]} */
export function tokenizerOf(library, rules, options) {
  const tokenizer = new library.Tokenizer(rules, {});
  const unknown = tokenizer.model.unk_token_id ?? tokenizer.token_to_id(rules.model.unk_token);
  const ended = (/** @type {string[]} */ tokens) =>
    tokenizer.post_processor ? tokenizer.post_processor(tokens, null, true).tokens : tokens;
  const room = Math.max(0, options.context_length - ended([]).length);
  const lowers = /"Lowercase"|"lowercase":true/.test(JSON.stringify(rules.normalizer ?? null));
  return (text) => {
    const said = options.lower_case ? text.toLowerCase() : text;
    // Rust lowers each letter for itself, JavaScript a sigma at the end of a word in its own way.
    const given = lowers ? said.replaceAll("Σ", "σ") : said;
    const tokens = tokenizer.tokenize(given, { add_special_tokens: false });
    /** @type {number[]} */
    const ids = ended(tokens.slice(0, room)).map((/** @type {string} */ one) => tokenizer.token_to_id(one) ?? unknown);
    return padded(ids.slice(0, options.context_length), options);
  };
}

/** @param {number[]} ids @param {TokenOptions} options */
function padded(ids, { context_length, pad_id, pads_left }) {
  const padding = new Array(context_length - ids.length).fill(pad_id);
  return pads_left ? [...padding, ...ids] : [...ids, ...padding];
}

/** Texts of equal length, cut behind the first padding of the longest; that one may be its end.
 * @param {number[][]} rows @param {number} pad_id @returns {number[][]} */
export function withoutPadding(rows, pad_id) {
  const used = Math.max(...rows.map((ids) => ids.findLastIndex((id) => id !== pad_id) + 1));
  return rows.map((ids) => ids.slice(0, used + 1));
}

/** Which tokens are not padding; of a padding that also ends a text, the first is its end.
 * @param {number[]} ids @param {TokenOptions} options @returns {number[]} */
export function maskOf(ids, { pad_id, pad_is_end }) {
  const end = pad_is_end ? ids.indexOf(pad_id) : -1;
  return ids.map((id, at) => Number(id !== pad_id || at === end));
}
