// A range of numbers: a histogram with a handle at each end.

import { element } from "./dom.js";
import { setRange } from "./filters.js";
import { amount, titleOf } from "./format.js";

const STEPS = 100;

/**
 * @param {import("./contract.js").Histogram} column
 * @param {import("./contract.js").Filter[]} filters
 * @param {(filters: import("./contract.js").Filter[]) => void} onChange
 */
export function createRange({ name, min, max, bins, edges }, filters, onChange) {
  const [low, high] = filters.find((one) => one.column === name && one.op === "between")?.value ?? [
    null,
    null,
  ];
  const isWhole = Number.isInteger(min) && Number.isInteger(max) && edges.length > 0;
  const step = isWhole ? Math.max(1, Math.round((max - min) / STEPS)) : (max - min) / STEPS;
  const from = handle("from", low ?? min);
  const to = handle("to", high ?? max);
  const most = Math.max(1, ...bins);
  const bars = bins.map((count) => {
    const bar = element("span");
    bar.style.height = `${count ? Math.max(4, (count / most) * 100) : 0}%`;
    return bar;
  });
  const text = element("p", { className: "range-text", "aria-hidden": "true" });
  say();

  /** @param {"from" | "to"} end @param {number} value */
  function handle(end, value) {
    const made = element("input", {
      type: "range",
      min: String(min),
      max: String(max),
      step: String(step),
      value: String(value),
      "aria-label": `${titleOf(name)} ${end}`,
    });
    made.dataset.key = `${name}:${end}`;
    // The end can always be reached, even if the steps do not lead there exactly.
    made.addEventListener("input", () => {
      if (Number(from.value) > Number(to.value))
        (end === "from" ? from : to).value = (end === "from" ? to : from).value;
      say();
    });
    made.addEventListener("change", () => {
      const [first, last] = ends();
      const isAll = first <= min && last >= max;
      onChange(
        setRange(filters, name, isAll ? null : [first <= min ? null : first, last >= max ? null : last]),
      );
    });
    return made;
  }

  function ends() {
    const last = Number(to.value) + step > max ? max : Number(to.value);
    return [Number(from.value), last];
  }

  function say() {
    const [first, last] = ends();
    text.textContent = `${amount(name, first)} – ${amount(name, last)}`;
    bars.forEach((bar, i) => bar.classList.toggle("out", edges[i + 1] < first || edges[i] > last));
  }

  return element(
    "div",
    { className: "range" },
    element("div", { className: "bars", "aria-hidden": "true" }, ...bars),
    element("div", { className: "handles" }, from, to),
    text,
  );
}
