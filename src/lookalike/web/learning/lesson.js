// The form that names a word, and says what it will be taught with.

import { HostError } from "../contract.js";
import { element, find } from "../dom.js";
import { counted, sentence } from "../format.js";
import { createSaying } from "./saying.js";

/** @typedef {import("../contract.js").Host} Host */
/** @typedef {import("../learning.js").Page} Page */

/** Ask for the name of the word, at what opens the form. @param {Host} host @param {Page} page
 * @param {HTMLElement} opener */
export function openLesson(host, page, opener) {
  const place = find("lesson");
  const { terms } = page.shown();
  const ids = (/** @type {number} */ sign) =>
    terms.flatMap((term) => (term.kind === "id" && Math.sign(term.weight) === sign ? [term.id] : []));
  const [like, unlike] = [ids(1), ids(-1)];
  const named = terms.find(({ kind, weight }) => kind === "text" && weight > 0);
  const text = named?.kind === "text" ? named.text : "";
  const verb = like.length === 1 ? "shows" : "show";
  const not = unlike.length ? `, ${unlike.length} ${unlike.length === 1 ? "doesn’t" : "don’t"}` : "";
  const field = element("input", { type: "text", value: text, maxLength: 100, autocomplete: "off", required: true });
  field.setAttribute("aria-describedby", "lesson-error");
  const complaint = element("p", { id: "lesson-error", className: "field-error", role: "alert" });
  const submit = element("button", { type: "submit", className: "action", textContent: "Teach" });
  const form = element(
    "form",
    { className: "labelling" },
    element("label", {}, element("span", { textContent: "Word" }), field),
    submit,
    element("p", { className: "quiet", textContent: `${counted(like.length, "picture")} ${verb} it${not}.` }),
    complaint,
  );
  field.addEventListener("input", () => (complaint.textContent = ""));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name) return field.focus();
    submit.disabled = true;
    try {
      await teach(host, page, name, like, unlike);
      place.hidePopover();
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      complaint.textContent = sentence(error.detail || error.title);
      field.focus();
    } finally {
      submit.disabled = false;
    }
  });
  place.replaceChildren(form);
  const box = opener.getBoundingClientRect();
  place.showPopover();
  place.style.left = `${Math.max(8, Math.min(box.left, innerWidth - place.offsetWidth - 8))}px`;
  place.style.top = `${box.bottom + 8}px`;
  field.focus();
}

/** Teach a word, and search for it; raises what the host says. @param {Host} host @param {Page} page
 * @param {string} name @param {string[]} like @param {string[]} unlike */
async function teach(host, page, name, like, unlike) {
  const before = { ...page.shown(), item: "" };
  const kind = `word:${name}`;
  const marks = [{ kind, ids: like, value: true }];
  if (unlike.length) marks.push({ kind, ids: unlike, value: false });
  /** @type {import("../terms.js").Term} */
  const word = { kind: "text", text: name, weight: 1 };
  await createSaying(host, page).sayOrThrow({
    collection: before.collection,
    marks,
    text: `“${name}” is a word now`,
    after: () => page.go({ ...before, terms: [word] }, { anew: true }),
    back: () => page.go(before, { anew: true }),
  });
}

/** Take a taught word back. @param {Host} host @param {Page} page @param {string} word
 * @param {string} text what was searched for by it */
export function forget(host, page, word, text) {
  const before = { ...page.shown(), item: "" };
  const terms = before.terms.filter((term) => term.kind !== "text" || term.text !== text);
  return createSaying(host, page).say({
    collection: before.collection,
    marks: [{ kind: `word:${word}`, ids: [], value: null }],
    text: `“${word}” is forgotten`,
    after: () => page.go({ ...before, terms }, { anew: true }),
    back: () => page.go(before, { anew: true }),
  });
}
