// The panel of filters: the values of each column with their counts, ranges of numbers, and SQL.

import { element, find } from "./dom.js";
import { toggle } from "./filters.js";
import { number, titleOf } from "./format.js";
import { createRange } from "./range.js";

/** @typedef {import("./contract.js").Filter} Filter */
/** @typedef {import("./contract.js").Facets} Facets */
/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./state.js").State} State */

const FIRST = 8;
/** A column with more values than this, each in a single item, holds names, not groups. */
const NAMES = 20;

/**
 * @param {import("./contract.js").Host} host
 * @param {{onChange: (change: Partial<State>) => void, onError: (error: unknown) => void}} options
 */
export function createFacets(host, { onChange, onError }) {
  const [panel, list, opener] = [find("facets"), find("facet-list"), find("filters")];
  const field = /** @type {HTMLInputElement} */ (find("where"));
  const complaint = find("where-error");
  /** @type {State | undefined} */
  let shown;
  let loaded = "";
  let turn = new AbortController();
  /** The columns that show all their values. @type {Set<string>} */
  const long = new Set();

  opener.addEventListener("click", () => toggleOpen());
  find("facets-close").addEventListener("click", () => toggleOpen(false));
  find("where-form").addEventListener("submit", (event) => {
    event.preventDefault();
    refuse("");
    onChange({ where: field.value.trim() });
  });
  field.addEventListener("input", () => refuse(""));

  /** @param {boolean} [open] */
  function toggleOpen(open = panel.hidden) {
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) load();
    (open ? find("facets-close") : opener).focus({ preventScroll: true });
  }

  /** @param {string} text */
  function refuse(text) {
    complaint.textContent = text;
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  async function load() {
    const state = shown;
    const key = JSON.stringify([state?.collection, state?.filters, state?.where]);
    if (!state || panel.hidden || key === loaded) return;
    turn.abort();
    const { signal } = (turn = new AbortController());
    panel.classList.add("loading");
    try {
      const facets = await facetsOf(host, state, signal);
      loaded = key;
      render(facets, state);
    } catch (error) {
      if (!signal.aborted) onError(error);
    } finally {
      if (!signal.aborted) panel.classList.remove("loading");
    }
  }

  /** @param {Facets} facets @param {State} state */
  function render(facets, state) {
    const name = /** @type {HTMLElement | null} */ (document.activeElement?.closest("[data-key]"))?.dataset
      .key;
    const useful = facets.columns.filter((column) => isUseful(column, state.filters));
    const sections = useful
      .sort((a, b) => rank(a) - rank(b))
      .map((column) =>
        element(
          "section",
          { className: "facet" },
          element("h3", { textContent: titleOf(column.name) }),
          createChoice(column, state),
        ),
      );
    list.replaceChildren(...sections);
    if (!sections.length)
      list.append(element("p", { className: "quiet", textContent: "There is nothing to filter by." }));
    if (name)
      /** @type {HTMLElement | null} */ (list.querySelector(`[data-key="${CSS.escape(name)}"]`))?.focus();
  }

  /** @param {Facets["columns"][number]} column @param {State} state */
  function createChoice(column, state) {
    if (column.type !== "number") return createValues(column, state);
    if (column.min === null)
      return element("p", { className: "quiet", textContent: "There are no numbers in this column." });
    return createRange(column, state.filters, (filters) => onChange({ filters }));
  }

  /** @param {Values} column @param {State} state */
  function createValues(column, state) {
    const most = Math.max(1, ...column.values.map(({ count }) => count));
    const rows = column.values.map(({ value, count }, i) => {
      const op = value === null ? "null" : column.type === "list" ? "has" : "is";
      const filter = /** @type {Filter} */ ({ column: column.name, op, value });
      const box = element("input", {
        type: "checkbox",
        checked: toggle(state.filters, filter).length < state.filters.length,
      });
      box.dataset.key = JSON.stringify(filter);
      box.addEventListener("change", () => onChange({ filters: toggle(state.filters, filter) }));
      const bar = element("span", { className: "amount", "aria-hidden": "true" });
      bar.style.width = `${(count / most) * 100}%`;
      const text = value === null ? "none" : String(value);
      return element(
        "label",
        { className: "value", hidden: i >= FIRST && !box.checked && !long.has(column.name) },
        bar,
        box,
        element("span", { className: "value-name", textContent: text }),
        element("span", { className: "count", textContent: number(count) }),
      );
    });
    const group = element(
      "div",
      { className: "values", role: "group", "aria-label": titleOf(column.name) },
      ...rows,
    );
    if (rows.some((row) => row.hidden)) group.append(createMore(column, rows));
    return group;
  }

  /** @param {Values} column @param {HTMLElement[]} rows */
  function createMore(column, rows) {
    const more = element("button", {
      type: "button",
      className: "plain more",
      textContent: `Show ${rows.length - FIRST} more`,
    });
    more.addEventListener("click", () => {
      long.add(column.name);
      for (const row of rows) row.hidden = false;
      /** @type {HTMLElement | null} */ (rows[FIRST].querySelector("input"))?.focus();
      more.remove();
    });
    return more;
  }

  return {
    /** @param {State} state */
    show(state) {
      shown = state;
      if (document.activeElement !== field || state.where) field.value = state.where;
      refuse("");
      find("sql").hidden = !host.capabilities(state.collection).sql;
      const count = state.filters.length + Number(Boolean(state.where));
      find("filter-count").textContent = count ? String(count) : "";
      load();
    },
    toggle: toggleOpen,
    isOpen: () => !panel.hidden,
    /** Show at the field what is wrong with a condition. @param {string} where @param {string} text */
    refuse(where, text) {
      if (panel.hidden) toggleOpen(true);
      field.value = where;
      /** @type {HTMLDetailsElement} */ (find("sql")).open = true;
      refuse(text);
      field.focus();
      find("where-form").scrollIntoView({ block: "nearest" });
    },
    /** The collection has changed. */
    forget: () => (loaded = ""),
  };
}

/** The counts; a column's own filters do not apply to it, or there would be nothing else to choose.
 * @param {import("./contract.js").Host} host @param {State} state @param {AbortSignal} signal */
async function facetsOf(host, { collection, filters, where }, signal) {
  const chosen = [...new Set(filters.map(({ column }) => column))];
  const [all, ...others] = await Promise.all([
    host.facets(collection, { filters, where, signal }),
    ...chosen.map((name) =>
      host.facets(collection, { filters: filters.filter(({ column }) => column !== name), where, signal }),
    ),
  ]);
  const columns = all.columns.map((column) => {
    const at = chosen.indexOf(column.name);
    return others[at]?.columns.find(({ name }) => name === column.name) ?? column;
  });
  return { total: all.total, columns };
}

/** Labels first, then other words, then numbers. @param {Facets["columns"][number]} column */
function rank({ name, type }) {
  return name === "label" ? 0 : type === "number" ? 2 : 1;
}

/** @param {Facets["columns"][number]} column @param {Filter[]} filters */
function isUseful(column, filters) {
  if (filters.some((filter) => filter.column === column.name)) return true;
  if (column.type === "number") return column.bins.length > 1;
  const most = Math.max(0, ...column.values.map(({ count }) => count));
  return column.values.length > 0 && (most > 1 || column.distinct <= NAMES);
}
