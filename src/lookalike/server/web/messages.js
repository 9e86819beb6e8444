// What the page says: in the place of the pictures, or in a note above them.

/**
 * @typedef {{text: string, href?: string, act: (event: Event) => void}} Action
 * @param {HTMLElement} place @param {HTMLElement} note
 */
export function createMessages(place, note) {
  function clear() {
    place.hidden = true;
    note.replaceChildren();
  }

  /**
   * Say something where the pictures would be.
   * @param {string} title @param {string} text @param {Action[]} actions
   */
  function inPlace(title, text, actions = []) {
    clear();
    const row = element("div", { className: "actions" });
    row.append(...actions.map((action) => button(action, "action")));
    place.replaceChildren(
      element("h1", { textContent: title }),
      element("p", { textContent: text }),
      row,
    );
    place.hidden = false;
  }

  /** Say something over the pictures, which stay. @param {string} text @param {Action=} action */
  function over(text, action) {
    const dismiss = { text: "Dismiss", act: () => note.replaceChildren() };
    const line = element("span", { textContent: text });
    const buttons = action ? [action, dismiss] : [dismiss];
    note.replaceChildren(line, ...buttons.map((one) => button(one, "")));
  }

  return { clear, inPlace, over };
}

/** @param {Action} action @param {string} className */
function button(action, className) {
  const made = action.href
    ? element("a", { href: action.href })
    : element("button", { type: "button" });
  made.className = className;
  made.textContent = action.text;
  made.addEventListener("click", action.act);
  return made;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name @param {Partial<HTMLElementTagNameMap[K]>} properties
 */
export function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
