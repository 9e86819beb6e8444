// Formats names, numbers and sizes for people.

/** The name of an item in one line. @param {{id: string, label?: string | null}} item */
export function nameOf(item) {
  return item.label || fileOf(item.id);
}

/** The last part of an id that is a path. @param {string} id */
export function fileOf(id) {
  return id.split("/").pop() || id;
}

/** A message from the server as a sentence. @param {string} text */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) || !whole ? whole : `${whole}.`;
}

/** @param {number} value */
export function number(value) {
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? 3 : 1 });
}

/** @param {number} count @param {string} one @param {string} many */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** @param {number} duration */
export function milliseconds(duration) {
  return `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms`;
}

/** @param {number} size */
export function bytes(size) {
  if (size < 1000) return `${size} bytes`;
  const [value, unit] = size < 1e6 ? [size / 1e3, "kB"] : [size / 1e6, "MB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** What people call the columns that every collection has. @type {Record<string, string>} */
const TITLES = { size_bytes: "File size", mtime_ns: "File date", cluster_name: "Cluster" };

/** A number from a column, with its unit if that is known. @param {string} column @param {number} value */
export function amount(column, value) {
  if (column === "size_bytes") return bytes(value);
  return column === "width" || column === "height" ? `${number(value)} px` : number(value);
}

/** A column's name as a title: `taken_at` is "Taken at". @param {string} column */
export function titleOf(column) {
  if (column in TITLES) return TITLES[column];
  const words = column.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * How sure a hit is: more likely right than not, perhaps, or hardly. Few right first hits are below a third.
 * @param {number | null | undefined} confidence @returns {"strong" | "fair" | "weak" | null}
 */
export function strengthOf(confidence) {
  if (confidence === null || confidence === undefined) return null;
  if (confidence >= 0.5) return "strong";
  return confidence >= 1 / 3 ? "fair" : "weak";
}
