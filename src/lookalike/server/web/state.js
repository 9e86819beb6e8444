// What is shown, and the address that says so: each view has a URL, and each URL a view.

/** @typedef {{kind: "browse"} | {kind: "item", id: string} | {kind: "image", key: string}} View */

/** @type {View} */
export const BROWSE = { kind: "browse" };

/** How far each entry of the history is scrolled, by its key. @type {Map<string, number>} */
const scrolls = new Map();

/** The view that an address names. @param {string} search @returns {View} */
export function viewOf(search = location.search) {
  const params = new URLSearchParams(search);
  const [id, key] = [params.get("id"), params.get("image")];
  if (id) return { kind: "item", id };
  return key ? { kind: "image", key } : BROWSE;
}

/** The address of a view, relative to the page. @param {View} view */
export function addressOf(view) {
  if (view.kind === "item") return `?${new URLSearchParams({ id: view.id })}`;
  return view.kind === "image" ? `?${new URLSearchParams({ image: view.key })}` : "./";
}

/** Make a view the newest entry of the history, if it is another one. @param {View} view */
export function push(view) {
  if (addressOf(view) === addressOf(viewOf())) return;
  history.pushState({ key: newKey() }, "", addressOf(view));
}

/** How far down the entry that is shown was scrolled when it was left, in pixels. */
export function scrollOfEntry() {
  return scrolls.get(history.state?.key) ?? history.state?.y ?? 0;
}

/**
 * Call back when the person goes back or forward; from here on, scrolling is up to the page.
 * @param {() => void} callback
 */
export function onTravel(callback) {
  history.scrollRestoration = "manual";
  if (!history.state?.key) history.replaceState({ key: newKey() }, "");
  addEventListener("scroll", () => scrolls.set(history.state?.key, scrollY), { passive: true });
  // A reload forgets everything but the history's own entries.
  addEventListener("pagehide", () => history.replaceState({ ...history.state, y: scrollY }, ""));
  addEventListener("popstate", callback);
}

/** A random name; unlike `randomUUID`, this works where the page does not come by HTTPS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
