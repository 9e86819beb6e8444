// Keeping what people say of pictures, and taking it back.

/** @typedef {import("../contract.js").Mark} Mark */
/** Keep marks, show what has changed, say so, and offer to take them back; `back` shows the state before, and is
 * `after` if it is not given.
 * @typedef {(said: {collection: string, marks: Mark[], text: string, after: () => void | Promise<void>,
 *   back?: () => void | Promise<void>}) => Promise<void>} Say */

/**
 * `say` shows what went wrong, `sayOrThrow` leaves that to its caller.
 * @param {import("../contract.js").Host} host
 * @param {{over: (text: string, action: import("../messages.js").Action) => void,
 *   fail: (error: unknown, again: () => void) => void, changed: () => Promise<void>}} page
 * @returns {{say: Say, sayOrThrow: Say}}
 */
export function createSaying(host, { over, fail, changed }) {
  /** @type {Say} */
  async function sayOrThrow({ collection, marks, text, after, back = after }) {
    const kept = await host.marks?.keep(collection, marks);
    await changed();
    await after();
    const withdraw = { collection, marks: kept?.undo ?? [], text: "Taken back", after: back, back: after };
    const later = kept?.tagged === false ? ". A build is at work; its tags come after that" : "";
    over(text + later, { text: "Undo", act: () => say(withdraw) });
  }

  /** @type {Say} */
  async function say(said) {
    await sayOrThrow(said).catch((error) => fail(error, () => say(said)));
  }

  return { say, sayOrThrow };
}
