// The facts about an item, as a list for people.

import { element } from "./dom.js";
import { bytes, number, titleOf } from "./format.js";

const TAKEN = [
  "id",
  "label",
  "width",
  "height",
  "size_bytes",
  "mtime_ns",
  "sha256",
  "uri",
  "tags",
  "tag_probabilities",
];

/** The words that the model has for an item. @param {Record<string, any>} row @returns {string[]} */
export function tagsOf(row) {
  return Array.isArray(row.tags) ? row.tags : [];
}

/** The card that the grid needs to show an item. @param {Record<string, any>} row @returns {import("./contract.js").Card} */
export function cardOf({ id, label, width, height, v, sha256 }) {
  return { id, label: label ?? null, width, height, v: String(v ?? sha256?.slice(0, 12) ?? "") };
}

/** The facts of a row: the usual ones first, then all other columns. @param {Record<string, any>} row */
export function facts(row) {
  /** @type {[string, string][]} */
  const known = [];
  if (row.label) known.push(["Label", row.label]);
  known.push(["File", row.id]);
  if (row.width)
    known.push([
      "Size",
      [`${row.width} × ${row.height}`, row.size_bytes && bytes(row.size_bytes)].filter(Boolean).join(", "),
    ]);
  if (row.mtime_ns)
    known.push([
      "Changed",
      new Date(row.mtime_ns / 1e6).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }),
    ]);
  for (const [name, value] of Object.entries(row)) {
    if (TAKEN.includes(name) || value === null || value === "") continue;
    known.push([titleOf(name), textOf(value)]);
  }
  if (row.uri) known.push(["Source", decoded(row.uri)]);
  const list = element("dl", { className: "facts" });
  for (const [name, value] of known) {
    list.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  }
  return list;
}

/** @param {any} value @returns {string} */
function textOf(value) {
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return value.map(textOf).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {string} uri */
function decoded(uri) {
  try {
    return decodeURI(uri);
  } catch {
    return uri;
  }
}
