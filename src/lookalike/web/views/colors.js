// The colours of the map: a few distinct ones for words, and a scale for numbers.

/** The host's codes that are not values. */
export const [OTHERS, NO_VALUE, FILTERED] = [253, 254, 255];

/** Of medium lightness, to be visible on white and on black. */
const WORDS = [
  "#4f6bed", "#e8590c", "#2b9a66", "#d6336c", "#9c5ad6", "#0c8599",
  "#c08a00", "#b0413e", "#1c9ad6", "#6f9400", "#e07bb0", "#8d6e52",
]; // prettier-ignore
/** From the smallest to the largest number. */
const SCALE = ["#3b4cc0", "#1f8fb5", "#2fa56d", "#c99a06", "#d9480f"];
const REST = "#8a8f98";

/** The colour of each code, 256 of them. @param {"none" | "text" | "number"} kind @param {string} faint of points that are
 * filtered out @returns {string[]} */
export function palette(kind, faint) {
  const colors = Array.from({ length: 256 }, (_, code) => {
    if (kind === "number") return scaleColor(code / (OTHERS - 1));
    return WORDS[kind === "none" ? 0 : code % WORDS.length];
  });
  colors[OTHERS] = colors[NO_VALUE] = REST;
  colors[FILTERED] = faint;
  return colors;
}

/** The colour of a number on the scale. @param {number} share from 0, the smallest, to 1 */
export function scaleColor(share) {
  const at = Math.min(1, Math.max(0, share)) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  const [from, to] = [rgbOf(SCALE[low]), rgbOf(SCALE[low + 1])];
  const mixed = from.map((value, i) => Math.round(value + (to[i] - value) * (at - low)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** @param {string} hex such as `#ff8000` */
export function rgbOf(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
