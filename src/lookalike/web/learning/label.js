// The label of an item in its details: given, corrected, or taken from a proposal; or what the item may be.

import { element } from "../dom.js";
import { button } from "../messages.js";
import { createSaying } from "./saying.js";
import { percent, verdictOf } from "./verdict.js";

/** @typedef {import("../contract.js").Mark} Mark */
/** @typedef {import("../contract.js").Verdict} Verdict */
/** What is known of an item: its label, the one that people gave it, the proposed one, and what it may be.
 * @typedef {{label: string | null, given: string | null,
 *   proposed: {label: string, probability: number} | null, verdict: Verdict | null}} Known */
/** @typedef {{collection: string, row: Record<string, any>, canMark: boolean, canIdentify: boolean,
 *   showing: import("./verdict.js").Showing}} Item */

/** Show the label of an item in a place, with what can be done about it.
 * @param {import("../contract.js").Host} host @param {import("../learning.js").Page} page
 * @param {HTMLElement} place @param {Item} item */
export async function showLabel(host, page, place, item) {
  const { collection, canMark } = item;
  const { id } = item.row;
  const saying = createSaying(host, page);
  /** @type {Known} */
  let known = { label: item.row.label ?? null, given: null, proposed: null, verdict: null };
  try {
    known = await read(item.row);
  } catch {} // marks that cannot be read at the moment do not hide the label
  draw();

  /** @param {Record<string, any>} row @returns {Promise<Known>} */
  async function read(row) {
    const said = (await host.marks?.about(collection, { id })) ?? [];
    const valueOf = (/** @type {string} */ kind) => said.find((one) => one.kind === kind)?.value ?? null;
    const [given, proposed] = [valueOf("label"), valueOf("label_proposed")];
    const label = given ?? row.label ?? null;
    const waiting = proposed?.label && label === null ? proposed : null;
    // It cannot be asked about an item with a label, from which it has learned.
    const isAsked = label === null && !waiting && item.canIdentify;
    const verdict = isAsked ? await host.identify?.(collection, { term: { id } }).catch(() => null) : null;
    return { label, given, proposed: waiting, verdict: verdict ?? null };
  }

  async function refresh() {
    known = await read(await host.item(collection, id));
    page.relabel(id, known.label);
    if (place.isConnected) draw(true);
  }

  /** @param {Mark["value"]} value @param {string} text @param {string} [kind] */
  const say = (value, text, kind = "label") =>
    saying.say({ collection, marks: [{ kind, ids: [id], value }], text, after: refresh });
  /** @param {string} label */
  const give = (label) => say(label, `Labelled ${label}`);

  /** @param {boolean} [keepFocus] */
  function draw(keepFocus = false) {
    const hadFocus = keepFocus && place.contains(document.activeElement);
    const { parts, buttons } = describe();
    const row = buttons.length ? [element("div", { className: "says" }, ...buttons)] : [];
    place.replaceChildren(...parts, ...(canMark ? row : []));
    if (hadFocus) place.querySelector("button")?.focus();
  }

  function describe() {
    const { label, given, proposed, verdict } = known;
    if (label !== null) {
      const by = given === null ? null : element("span", { className: "quiet", textContent: "given by hand" });
      const back = act("Take back", () => say(null, `No longer labelled ${label}`));
      return { parts: [line(label, by)], buttons: [act("Change", edit), ...(given === null ? [] : [back])] };
    }
    if (proposed) {
      const no = () =>
        say({ rejected: proposed.label }, `${proposed.label} is not proposed again`, "label_proposed");
      const chance = element("span", { className: "quiet", textContent: `proposed, ${percent(proposed.probability)} sure` });
      const yes = act("Yes", () => give(proposed.label), `Yes, label it ${proposed.label}`);
      return {
        parts: [line(`${proposed.label}?`, chance)],
        buttons: [yes, act("No", no, `No, it is not ${proposed.label}`), act("Another", edit, "Another label")],
      };
    }
    const guess = verdict ? [verdictOf(verdict, item.showing)] : [];
    const sure = verdict?.label ?? null;
    const take = sure === null ? [] : [act(`Label it ${sure}`, () => give(sure))];
    return { parts: guess, buttons: [...take, act(sure === null ? "Give it a label" : "Another label", edit)] };
  }

  function edit() {
    const field = element("input", { type: "text", value: known.label ?? "", maxLength: 1000, autocomplete: "off" });
    field.setAttribute("aria-label", "Label");
    field.setAttribute("list", "known-labels");
    const labels = Object.keys(page.collectionOf(collection)?.labels ?? {});
    const options = labels.map((value) => element("option", { value }));
    const save = element("button", { type: "submit", className: "action", textContent: "Save" });
    const form = element(
      "form",
      { className: "labelling" },
      field,
      element("datalist", { id: "known-labels" }, ...options),
      save,
      act("Cancel", () => draw(true)),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const label = field.value.trim();
      if (!label || label === known.label) draw(true);
      else give(label);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      draw(true);
    });
    place.replaceChildren(form);
    field.focus();
    field.select();
  }
}

/** @param {string} label @param {Node | null} about */
function line(label, about) {
  return element("p", { className: "label" }, element("strong", { textContent: label }), about);
}

/** @param {string} text @param {() => void} act @param {string} [name] what it does, if the text is short */
function act(text, act, name = text) {
  const made = button({ text, act }, "action");
  if (name !== text) made.setAttribute("aria-label", name);
  return made;
}
