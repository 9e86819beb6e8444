// Wires the page: an address names a view, a view is loaded from the host, and shown.

import { createGrid, isPlainClick, nameOf } from "./grid.js";
import { connect, HostError } from "./host.js";
import { createMessages } from "./messages.js";
import { createQueryBar } from "./query.js";
import { addressOf, BROWSE, onTravel, push, scrollOfEntry, viewOf } from "./state.js";
import * as uploads from "./uploads.js";

/**
 * @typedef {import("./host.js").Item} Item
 * @typedef {import("./state.js").View} View
 * @typedef {{items: Item[], total: number, status: string, title: string,
 *   chip: import("./query.js").Chip | null}} Loaded
 */

const PAGE = 100;
const HITS = 60;
const VIEWS_KEPT = 20;
const PROGRESS_AFTER_MS = 150;

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const messages = createMessages(find("message"), find("notice"));
const query = createQueryBar(find, { onFile: searchByFile, onClear: browse });
const grid = createGrid(find("pictures"), {
  thumbnailUrl: (item) => /** @type {import("./host.js").Host} */ (host).thumbnailUrl(item),
  onOpen: (id) => navigate({ kind: "item", id }),
});

/** @type {import("./host.js").Host | undefined} */
let host;
/** The view in the grid. @type {View} */
let shown = BROWSE;
/** What views were loaded with, by address: going back is instant. @type {Map<string, Loaded>} */
const loaded = new Map();
/** Ends what the last navigation still waits for. */
let turn = new AbortController();

/** Load a view and, once it is there, give it an entry in the history. @param {View} view */
function navigate(view) {
  return attempt(() => navigate(view), async (signal) => {
    const content = await load(view, signal);
    push(view);
    show(view, content, 0);
  });
}

/** Show the view that the address names, after a reload or a step through the history. */
function restore() {
  const scroll = scrollOfEntry();
  const view = viewOf();
  return attempt(restore, async (signal) => show(view, await load(view, signal), scroll), view);
}

/** Search by a picture of the person's; one that cannot be read changes nothing. @param {File} file */
function searchByFile(file) {
  return attempt(() => searchByFile(file), async (signal) => {
    const content = await search(file, signal);
    const view = /** @type {View} */ ({ kind: "image", key: await uploads.keep(file) });
    signal.throwIfAborted();
    remember(view, content);
    push(view);
    show(view, content, 0);
  }, undefined, file.name);
}

function browse() {
  return navigate(BROWSE);
}

/**
 * Run a navigation, show that it is under way, and say so when it fails.
 * @param {() => void} again @param {(signal: AbortSignal) => Promise<void>} work
 * @param {View=} named the view of the address, where the address has already changed
 * @param {string=} file the name of the picture that is searched by
 */
async function attempt(again, work, named, file) {
  turn.abort();
  const { signal } = (turn = new AbortController());
  const timer = setTimeout(() => setBusy(true), PROGRESS_AFTER_MS);
  try {
    host ??= await connect();
    signal.throwIfAborted();
    await work(signal);
  } catch (error) {
    if (!signal.aborted) fail(error, again, named, file);
  } finally {
    clearTimeout(timer);
    if (!signal.aborted) setBusy(false);
  }
}

/** @param {View} view @param {AbortSignal} signal @returns {Promise<Loaded>} */
async function load(view, signal) {
  const known = loaded.get(addressOf(view));
  if (known) return known;
  let content;
  if (view.kind === "browse") {
    content = await firstPage(signal);
  } else if (view.kind === "item") {
    content = await search(view.id, signal);
  } else {
    const blob = await uploads.find(view.key);
    if (!blob) throw new HostError("missing-upload", "");
    content = await search(blob, signal);
  }
  remember(view, content);
  return content;
}

/** @param {AbortSignal} signal @returns {Promise<Loaded>} */
async function firstPage(signal) {
  const { collection, items } = theHost();
  const page = await items(0, PAGE, signal);
  const pictures = page.total === 1 ? "picture" : "pictures";
  const status = `${number(page.total)} ${pictures} in ${collection.name}`;
  return { items: page.items, total: page.total, status, title: collection.name, chip: null };
}

/**
 * @param {string | Blob} wanted an id or a picture @param {AbortSignal} signal
 * @returns {Promise<Loaded>}
 */
async function search(wanted, signal) {
  const { collection, search: ask, thumbnailUrl } = theHost();
  const isId = typeof wanted === "string";
  const answer = await ask(isId ? { id: wanted } : { blob: wanted }, HITS, signal);
  const item = /** @type {Item} */ (answer.query);
  const name = isId ? nameOf(item) : "Your picture";
  const alike = `The ${number(answer.hits.length)} most alike of ${number(answer.total)}`;
  return {
    items: answer.hits,
    total: answer.hits.length,
    status: `${alike}, in ${milliseconds(answer.took_ms)}`,
    title: `${name} · ${collection.name}`,
    chip: isId
      ? { picture: thumbnailUrl(item), name, title: wanted }
      : { picture: wanted, name },
  };
}

/** @param {View} view @param {Loaded} content @param {number} scroll where to, in pixels from the top */
function show(view, content, scroll) {
  const [hadFocus, before] = [grid.hasFocus() || view.kind === "browse", shown];
  shown = view;
  messages.clear();
  grid.set(content.items);
  query.show(content.chip);
  find("status").textContent = content.status;
  document.title = `${content.title} · Lookalike`;
  if (!content.items.length) {
    messages.inPlace("No pictures yet", "Build the collection, and they appear here.");
  }
  if (hadFocus && before !== view) grid.focus(before.kind === "item" ? before.id : undefined);
  scrollTo(0, scroll);
  watchEnd();
}

/** Load the next page when the end of the last one comes near. */
async function showMore() {
  const content = loaded.get(addressOf(shown));
  if (shown.kind !== "browse" || !content || content.items.length >= content.total) return;
  end.disconnect(); // one page at a time
  const { signal } = turn;
  try {
    const page = await theHost().items(content.items.length, PAGE, signal);
    content.items.push(...page.items);
    content.total = page.items.length ? page.total : content.items.length;
    if (signal.aborted) return;
    grid.append(page.items);
    watchEnd();
  } catch (error) {
    if (!signal.aborted) fail(error, showMore);
  }
}

const end = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && showMore(), {
  rootMargin: "1200px",
});

function watchEnd() {
  end.disconnect();
  end.observe(find("end"));
}

/**
 * Say what went wrong: over the pictures, which stay, or in their place where the address names
 * others.
 * @param {unknown} error @param {() => void} again @param {View=} named @param {string=} file
 */
function fail(error, again, named, file) {
  const known = error instanceof HostError ? error : new HostError("failure", String(error));
  const { kind, message, nearest } = known;
  const all = { text: "All pictures", href: addressOf(BROWSE), act: follow(BROWSE) };
  const retry = { text: "Try again", act: again };
  if (named && kind === "missing-upload") {
    empty(named);
    const text = "It was searched for in another browser, and such pictures stay where they are. " +
      "Choose it here to search again.";
    const choose = { text: "Choose a picture", act: query.choose };
    messages.inPlace("That picture is not here", text, [choose, all]);
  } else if (named && kind === "unknown-item") {
    empty(named);
    const others = nearest.map((id) => {
      const view = /** @type {View} */ ({ kind: "item", id });
      return { text: id, href: addressOf(view), act: follow(view) };
    });
    const text = others.length ? "Perhaps you meant one of these." : "It may have been removed.";
    messages.inPlace("This picture is not in the collection", text, [...others, all]);
  } else if (grid.isEmpty()) {
    empty(named ?? shown);
    messages.inPlace(...explain(kind, message), [retry]);
  } else if (["not-a-picture", "empty-body", "too-large"].includes(kind)) {
    const reason = kind === "too-large" ? `too large, ${message}` : "not a picture that can be read";
    messages.over(`${file ?? "This"}: ${reason}`);
  } else {
    messages.over(explain(kind, message)[0], retry);
  }
}

/** @param {string} kind @param {string} message @returns {[string, string]} */
function explain(kind, message) {
  return kind === "unreachable"
    ? ["The server does not answer", "It may have been stopped. Start it again with: lookalike serve"]
    : [`That did not work: ${message}`, "The server's log may say more."];
}

/** Show none of the pictures. @param {View} view */
function empty(view) {
  shown = view;
  grid.set([]);
  query.show(null);
  find("status").textContent = "";
  document.title = "Lookalike";
}

/** @param {View} view @returns {(event: Event) => void} what a link to it does when it is clicked */
function follow(view) {
  return (event) => {
    if (!isPlainClick(/** @type {MouseEvent} */ (event))) return;
    event.preventDefault();
    if (view.kind === "browse" && shown.kind === "browse") loaded.delete(addressOf(view));
    navigate(view);
  };
}

/** @param {View} view @param {Loaded} content */
function remember(view, content) {
  loaded.set(addressOf(view), content);
  const [oldest] = [...loaded.keys()].filter((address) => address !== addressOf(BROWSE));
  if (loaded.size > VIEWS_KEPT) loaded.delete(oldest);
}

/** @param {boolean} busy */
function setBusy(busy) {
  find("progress").hidden = !busy;
  document.body.classList.toggle("busy", busy);
}

function theHost() {
  return /** @type {import("./host.js").Host} */ (host);
}

/** @param {number} whole */
function number(whole) {
  return whole.toLocaleString("en");
}

/** @param {number} duration */
function milliseconds(duration) {
  return `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms`;
}

find("home").addEventListener("click", follow(BROWSE));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown.kind !== "browse") browse();
});
onTravel(restore);
grid.await();
restore();
