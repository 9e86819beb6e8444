// The field for words, if the model knows them.

import { element, find } from "./dom.js";
import { button } from "./messages.js";
import { wordsOf } from "./terms.js";

/**
 * @param {{complete: (start: string, signal: AbortSignal) => Promise<import("./contract.js").Word[]>,
 *   onTerm: (term: import("./terms.js").Term) => void, onBack: () => void, onDown: () => void}} options
 * `complete` gives the words that begin with some letters, `onBack` is called to delete what is left of the field, `onDown` to go to what is below it
 */
export function createWords({ complete, onTerm, onBack, onDown }) {
  const field = /** @type {HTMLInputElement} */ (find("words"));
  const complaint = find("words-error");

  const offered = find("known-words");
  let turn = new AbortController();

  /** Offer words that complete the last one. */
  async function offer() {
    turn.abort();
    const { signal } = (turn = new AbortController());
    const [, head, start] = /** @type {string[]} */ (/^(.*?)([^\s-]*)$/s.exec(field.value));
    /** @type {import("./contract.js").Word[]} */
    let found = [];
    if (start) found = await complete(start, signal).catch(() => []);
    if (signal.aborted) return;
    const options = found.map(({ word, said }) => element("option", { value: head + word, label: said }));
    offered.replaceChildren(...options);
  }

  function clear() {
    complaint.replaceChildren();
    field.removeAttribute("aria-invalid");
  }

  function submit() {
    const term = wordsOf(field.value);
    if (term) onTerm(term);
  }

  field.addEventListener("input", () => (clear(), offer()));
  field.addEventListener("blur", clear);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") submit();
    else if (event.key === "ArrowDown" && !(field.value && offered.children.length)) (event.preventDefault(), onDown());
    else if (event.key === "Backspace" && !field.value) onBack();
    else if (event.key === "Escape" && field.value) {
      event.stopPropagation();
      field.value = "";
      clear();
    }
  });

  return {
    focus: () => (field.hidden ? find("choose") : field).focus(),
    /** The words were understood. */
    accept() {
      field.value = "";
      offered.replaceChildren();
      clear();
    },
    /** Show at the field that they were not. @param {string} text @param {string[]} nearest */
    refuse(text, nearest) {
      const others = nearest.map((word) =>
        button(
          {
            text: word,
            act: () => {
              field.value = /^\s*-/.test(field.value) ? `-${word}` : word;
              submit();
            },
          },
          "suggestion",
        ),
      );
      for (const one of others) one.addEventListener("pointerdown", (event) => event.preventDefault());
      complaint.replaceChildren(element("span", { textContent: text }), ...others);
      field.setAttribute("aria-invalid", "true");
      field.focus();
    },
    /** @param {{words: boolean, pictures: boolean, reason?: string}} able
     * @param {boolean} isMore whether something is searched for already */
    allow({ words, pictures, reason }, isMore) {
      field.hidden = !words;
      find("invitation").hidden = words;
      find("choose").hidden = !pictures;
      const isNarrow = matchMedia("(max-width: 640px)").matches;
      const ask = pictures && !isNarrow ? "Search by words, or drop a picture" : "Search by words";
      field.placeholder = isMore ? (isNarrow ? "Add" : "Add words") : ask;
      const invitation = pictures
        ? "Drop, paste or choose a picture to find what looks like it"
        : "Click on a picture to find what looks like it";
      find("invitation").textContent = reason ? `${invitation} (${reason})` : invitation;
    },
  };
}
