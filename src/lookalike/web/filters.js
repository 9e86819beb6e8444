// The filters chosen in the facets. Those of one column are combined with OR, those of different columns
// with AND. A server gets them as SQL; a static site calls `matches`.

import { amount, titleOf } from "./format.js";
import { contains, insideSql, UNITS } from "./polygon.js";

/** @typedef {import("./contract.js").Filter} Filter */

/** The SQL for all filters and the condition, empty without any. @param {Filter[]} filters @param {string} where */
export function conditionOf(filters, where) {
  const parts = columnsOf(filters).map((alternatives) => {
    const all = alternatives.map(sqlOf);
    return all.length > 1 ? `(${all.join(" OR ")})` : all[0];
  });
  // A comment at the end of the user's condition must not swallow the bracket.
  if (where.trim()) parts.push(parts.length ? `(${where.trim()}\n)` : where.trim());
  return parts.join(" AND ");
}

/** Whether a row meets the filters. @param {Filter[]} filters @param {Record<string, any>} row */
export function matches(filters, row) {
  return columnsOf(filters).every((alternatives) => alternatives.some((filter) => holds(filter, row)));
}

/** Add a filter, or remove it if it is already there. @param {Filter[]} filters @param {Filter} filter */
export function toggle(filters, filter) {
  const others = filters.filter((one) => !same(one, filter));
  return others.length < filters.length ? others : [...filters, filter];
}

/** Replace the range of a column; null removes it. @param {Filter[]} filters
 * @param {string} column @param {[number | null, number | null] | null} range */
export function setRange(filters, column, range) {
  const others = filters.filter((one) => one.column !== column || one.op !== "between");
  return range ? [...others, /** @type {Filter} */ ({ column, op: "between", value: range })] : others;
}

/** @param {Filter} one @param {Filter} other */
export function same(one, other) {
  return (
    one.column === other.column &&
    one.op === other.op &&
    JSON.stringify(one.value ?? null) === JSON.stringify(other.value ?? null)
  );
}

/** The text of a filter's chip. @param {Filter} filter */
export function describe({ column, op, value }) {
  if (op === "null") return `${titleOf(column)}: none`;
  if (op === "inside") return "part of the map";
  if (op !== "between") return String(value);
  const [low, high] = value.map((/** @type {number | null} */ end) => end !== null && amount(column, end));
  if (!low) return `${titleOf(column)} up to ${high}`;
  return high ? `${titleOf(column)} ${low} to ${high}` : `${titleOf(column)} from ${low}`;
}

/** The filters, grouped by column. @param {Filter[]} filters */
function columnsOf(filters) {
  /** @type {Map<string, Filter[]>} */
  const groups = new Map();
  for (const filter of filters) {
    groups.set(filter.column, [...(groups.get(filter.column) ?? []), filter]);
  }
  return [...groups.values()];
}

/** @param {Filter} filter */
function sqlOf({ column, op, value }) {
  const name = `"${column.replaceAll('"', '""')}"`;
  if (op === "null") return `${name} IS NULL`;
  if (op === "inside") return insideSql(value);
  if (op === "has") return `list_contains(${name}, ${literal(value)})`;
  if (op === "is") return `${name} = ${literal(value)}`;
  const [low, high] = value;
  if (low === null) return `${name} <= ${Number(high)}`;
  return high === null ? `${name} >= ${Number(low)}` : `${name} BETWEEN ${Number(low)} AND ${Number(high)}`;
}

/** @param {unknown} value */
function literal(value) {
  return typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}

/** @param {Filter} filter @param {Record<string, any>} row */
function holds({ column, op, value }, row) {
  if (op === "inside") return contains(value, row.map_x * UNITS, row.map_y * UNITS);
  const found = row[column] ?? null;
  if (op === "null") return found === null;
  if (found === null) return false;
  if (op === "has") return found.includes(value);
  if (op === "is") return found === value;
  return (value[0] === null || found >= value[0]) && (value[1] === null || found <= value[1]);
}
