// Counts the values of the columns, with the same answers as the server.

const MOST_VALUES = 50;
const BINS = 20;
// Columns that identify items, and the probabilities of tags, have no facet.
const WITHOUT = new Set(["id", "uri", "sha256", "mtime_ns", "tag_probabilities"]);

/**
 * @param {import("../contract.js").Column[]} columns
 * @param {(name: string) => any[]} valuesOf the values of a column, one for each row that is counted
 * @returns {import("../contract.js").Facets["columns"]}
 */
export function facetsOf(columns, valuesOf) {
  const counted = columns.filter(({ name, type }) => !WITHOUT.has(name) && type !== "other");
  return counted.map(({ name, type }) => {
    const values = valuesOf(name);
    if (type === "number") return { name, type, .../** @type {any} */ (spread(values)) };
    const single = type === "list" ? values.flatMap((list) => list ?? []) : values;
    return { name, type: /** @type {"text" | "list"} */ (type), ...frequent(single) };
  });
}

/** The most frequent values; equally frequent ones in alphabetical order, null last. @param {any[]} values */
function frequent(values) {
  const counts = new Map();
  for (const value of values) counts.set(value ?? null, (counts.get(value ?? null) ?? 0) + 1);
  const sorted = Array.from(counts, ([value, count]) => ({ value, count })).sort(
    (a, b) =>
      b.count - a.count ||
      Number(a.value === null) - Number(b.value === null) ||
      (a.value < b.value ? -1 : 1),
  );
  return { values: sorted.slice(0, MOST_VALUES), distinct: sorted.length };
}

/** The minimum, the maximum, and how many numbers are between neighbouring edges. @param {any[]} values */
function spread(values) {
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) {
    if (typeof value !== "number") continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  if (min > max) return { min: null, max: null, bins: [], edges: [] };
  const count = min === max ? 1 : BINS;
  const width = (max - min) / count || 1;
  const bins = new Array(count).fill(0);
  for (const value of values) {
    if (typeof value === "number") bins[Math.min(count - 1, Math.floor((value - min) / width))]++;
  }
  const edges = Array.from({ length: count + 1 }, (_, i) => (i === count ? max : min + i * width));
  if (min === max) edges.splice(0, 2, min - 0.5, max + 0.5);
  return { min, max, bins, edges };
}
