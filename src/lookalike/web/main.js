// Connects the page: a state names what to show; it is loaded from the host, shown, and written to the address.

import { createActions } from "./actions.js";
import { createChips } from "./chips.js";
import { HostError } from "./contract.js";
import { createDetails } from "./details.js";
import { find, onPlainClick } from "./dom.js";
import { createFacets } from "./facets.js";
import { createFailures } from "./failures.js";
import { createGrid } from "./grid.js";
import { createHead, statusOf } from "./head.js";
import { current, onTravel, placeOfEntry, record } from "./history.js";
import host from "./host.js";
import { createIntake } from "./intake.js";
import { createKeys } from "./keys.js";
import { createLearning } from "./learning.js";
import { createMessages } from "./messages.js";
import { ownOf } from "./pictures.js";
import { createPortraits } from "./portraits.js";
import { createRetry } from "./retry.js";
import { sourceOf } from "./sources.js";
import { addressOf, contentOf, START } from "./state.js";
import { onTileAction } from "./tile.js";
import { createViews } from "./views.js";
import { createVisited } from "./visited.js";
import { createWords } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./sources.js").Source} Source */
/** @typedef {import("./history.js").Place} Place */
/** @typedef {{replace?: boolean, travel?: boolean, anew?: boolean}} How */

const PROGRESS_AFTER_MS = 150;
const FOLLOW_MS = 120;

/** @type {import("./contract.js").Collection[]} */
let collections = [];
let shown = START;
/** @type {Source | undefined} */
let source;
/** Stops whatever the last navigation still waits for. */
let turn = new AbortController();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let following;

const visited = createVisited();
const messages = createMessages();
const retry = createRetry();
const portraits = createPortraits(host, () => shown.collection);
const actions = createActions(host, {
  shown: () => shown,
  go,
  collections: () => collections,
  attempt,
  learn: (id) => portraits.learn(grid.cardAt(grid.indexOf(id))),
});
const learning = createLearning(host, {
  shown: () => shown,
  go,
  collectionOf,
  relabel(id, label) {
    grid.relabel(id, label);
    details.rename(id, label);
  },
  hrefTo: (id) => addressOf({ ...shown, item: id }),
  over: messages.over,
  fail: (error, again) => fail(error, again, shown),
  changed,
});
const head = createHead({
  onCollection: actions.changeCollection,
  onView: (view) => go({ ...shown, view, item: "", beside: "" }),
  onForget: learning.forget,
  onChange: (change) => go({ ...shown, ...change }),
});
const chips = createChips({
  ...portraits,
  canOpen: portraits.hasDetails,
  onOpen: openTerm,
  onChange: (terms) => go({ ...shown, terms }),
});
const words = createWords({
  complete: (start, signal) => host.words(shown.collection, { start, signal }),
  onTerm: actions.addTerm,
  onBack: chips.focusLast,
  onDown: () => grid.focus(grid.active()),
});
const facets = createFacets(host, {
  onChange: (change) => go({ ...shown, ...change }),
  onError: (error) => fail(error, () => facets.show(shown), shown),
});
const grid = createGrid(
  { scroller: find("scroller"), sizer: find("pictures") },
  {
    thumbnailUrl: (card) => host.thumbnailUrl(shown.collection, card),
    href: ({ id }) => addressOf({ ...shown, terms: [{ kind: "id", id, weight: 1 }], item: "" }),
    onError: (error, again) => fail(error, again, shown),
    onLoaded: () => (retry.stop(), messages.clearNote()),
  },
);
const details = createDetails(host, {
  hrefTo: (id) => addressOf({ ...shown, item: id }),
  onOpen: (id) => go({ ...shown, item: id }),
  onClose: closeDetails,
  onSearch: actions.search,
  onTerm: actions.add,
  onTag: actions.searchTag,
  onRegion: actions.searchRegion,
  onStep(step) {
    grid.focus(grid.indexOf(shown.item) + step);
    follow();
  },
  queryOf,
  learning,
  onError(error) {
    details.close();
    fail(error, () => showDetails(shown), shown);
  },
});
const fail = createFailures({ messages, words, facets, grid, retry, go });
const views = createViews(host, {
  go,
  keep,
  shown: () => shown,
  collections: () => collections,
  fail: (error, again) => fail(error, again, shown),
  over: messages.over,
  changed,
});
const travel = onTravel(restore, { scroller: find("scroller"), place: grid.anchor });

/** Show a state and, once its data is loaded, write it to the address.
 * @param {State} next @param {How} [how] @returns {Promise<void>} */
function go(next, how = {}) {
  return attempt(
    () => go(next, how),
    async (signal) => {
      // A new query shows pictures.
      const isAsked = !how.travel && next.terms.length > 0 && next.terms !== shown.terms;
      if (isAsked && next.view !== "compare") next.view = START.view;
      await findCollection(next, how.anew === true, signal);
      const known = how.anew ? undefined : knownOf(contentOf(next));
      const [found, view] = await Promise.all([
        known?.source ?? sourceOf(host, next, signal),
        views.prepare(next, signal, how.anew === true),
      ]);
      await portraits.find(next.collection, next.terms, signal);
      signal.throwIfAborted();
      const leaving = grid.anchor();
      if (source) visited.keep(contentOf(shown), source, leaving);
      if (!how.travel) record(next, leaving, how.replace === true);
      travel.arrived();
      show(next, found, how.travel ? placeOfEntry() : (known?.place ?? null), view);
    },
    next,
  );
}

/** Write a change that needs no loading to the address, unless another history entry is current by now.
 * @param {{look: string}} change */
function keep(change) {
  shown = { ...shown, ...change };
  const entry = current();
  entry.collection ||= shown.collection;
  if (contentOf(entry) === contentOf(shown)) record(shown, null, true);
}

/** Show the state in the address, after a reload or a step through the history. */
function restore() {
  return go(current(), { travel: true });
}

/** @param {State} next @param {boolean} anew @param {AbortSignal} signal */
async function findCollection(next, anew, signal) {
  const isKnown = () => collections.some(({ name }) => name === next.collection);
  if (!isKnown() || anew) collections = await host.collections({ signal });
  next.collection ||= collections[0]?.name ?? "";
  if (isKnown()) return;
  const detail = collections.length ? `It was called ${next.collection}.` : "The server has none.";
  throw new HostError("unknown-collection", "This collection is not here", detail);
}

/** @param {string} name */
function collectionOf(name) {
  return collections.find((one) => one.name === name);
}

/** What people said has changed: labels, words, counts. */
async function changed() {
  collections = await host.collections();
  head.showPlaces(shown, collections);
  facets.forget();
  facets.show(shown);
}

/** The visit that is or was shown, by its content. @param {string} content */
function knownOf(content) {
  return source && content === contentOf(shown) ? { source, place: null } : visited.find(content);
}

/** Do something that takes a while, showing progress and any error.
 * @param {() => void} again @param {(signal: AbortSignal) => Promise<void>} work @param {State} [next] */
async function attempt(again, work, next = shown) {
  turn.abort();
  retry.stop();
  const { signal } = (turn = new AbortController());
  const timer = setTimeout(() => setBusy(true), PROGRESS_AFTER_MS);
  try {
    await work(signal);
  } catch (error) {
    if (!signal.aborted) fail(error, again, shown, next);
  } finally {
    clearTimeout(timer);
    if (!signal.aborted) setBusy(false);
  }
}

/** @param {State} next @param {Source} found @param {Place} place @param {import("./views.js").View | null} view */
function show(next, found, place, view) {
  const hadFocus = grid.hasFocus() || find("view").contains(document.activeElement);
  const [before, isOther] = [shown, found !== source];
  [shown, source] = [next, found];
  messages.clear();
  chips.show(next.terms);
  words.allow(host.capabilities(next.collection), next.terms.length > 0);
  head.showPlaces(next, collections);
  head.showFilters(next);
  head.say(statusOf(next, found, collectionOf(next.collection)));
  head.doubt(found.chance && !view);
  const { marks = false } = host.capabilities(next.collection);
  head.explain(view ? [] : found.words, view ? "" : found.refined, marks);
  learning.show(next);
  views.show(view, next);
  if (isOther) words.accept();
  if (view) {
    head.say(view.status);
    grid.clear();
  } else if (isOther) {
    grid.show(found, place);
    if (hadFocus) refocus(before, place);
  }
  if (!found.total) sayEmpty(next, found);
  const [first] = next.terms.map(portraits.nameOf);
  document.title = [first, next.collection, "Lookalike"].filter(Boolean).join(" · ");
  facets.show(next);
  showDetails(next);
}

/** Keep the focus near where it was: on the previous query, or on the best hit, but never far from a place that the
 * user has come back to. @param {State} before @param {Place} place */
function refocus({ terms: [term] }, place) {
  const then = term?.kind === "id" ? grid.indexOf(term.id) : -1;
  if (place) grid.focus(grid.isNear(then) ? then : place.index);
  else grid.focus(shown.terms.length ? 0 : Math.max(0, then));
}

/** @param {State} state @param {Source} found */
function sayEmpty(state, found) {
  const isFiltered = state.filters.length > 0 || state.where !== "";
  const clear = { text: "Clear the filters", act: () => go({ ...shown, filters: [], where: "" }) };
  // The collection may contain nothing but the query.
  if (found.compared) {
    const text = isFiltered ? "No other picture meets all filters." : "The collection has no other pictures.";
    return messages.inPlace("No other picture", text, isFiltered ? [clear] : []);
  }
  if (!isFiltered)
    return messages.inPlace("No pictures yet", "Build the collection, and its pictures will appear here.");
  return messages.inPlace("No pictures found", "No picture meets all filters.", [clear]);
}

/** @param {State} state */
function showDetails({ collection, item }) {
  // The user's own picture has no address; it stays open during a search for parts of it.
  if (!item)
    return details.isOwn() && shown.terms.some(({ kind }) => kind === "picture")
      ? undefined
      : details.close();
  const card = grid.cardAt(grid.indexOf(item)) ?? portraits.cardOf(item);
  return details.show(collection, { kind: "item", id: item, card });
}

function closeDetails() {
  const at = grid.indexOf(shown.item);
  if (!shown.item) details.close();
  else go({ ...shown, item: "" });
  if (at >= 0) grid.focus(at);
}

/** Open the details of the focused tile; while they are open, they follow the focus. */
function follow() {
  clearTimeout(following);
  following = setTimeout(() => {
    const card = grid.cardAt(grid.active());
    if (card && shown.item && card.id !== shown.item) go({ ...shown, item: card.id }, { replace: true });
  }, FOLLOW_MS);
}

/** @param {import("./terms.js").Term} term */
function openTerm(term) {
  if (term.kind === "id") return go({ ...shown, item: term.id });
  const own = term.kind === "picture" && ownOf(term.vector);
  return own && details.show(shown.collection, { kind: "own", term, ...own });
}

/** The term that a hit is compared with: the first of the query, unless that is the hit itself. */
function queryOf() {
  const term = shown.terms.find(({ weight }) => weight > 0);
  const isItself = term?.kind === "id" && term.id === shown.item;
  return term && !isItself ? portraits.large(term) : null;
}

/** Go one step back towards all pictures: close a panel, else clear the query, else the filters. */
function escape() {
  if (details.isOpen()) closeDetails();
  else if (facets.isOpen()) facets.toggle(false);
  else if (shown.terms.length) go({ ...shown, terms: [] });
  else if (shown.filters.length || shown.where) go({ ...shown, filters: [], where: "" });
}

/** Do something with the focused tile. @param {(id: string) => void} act */
function withActive(act) {
  const card = grid.hasFocus() ? grid.cardAt(grid.active()) : undefined;
  if (card) act(card.id);
}

/** @param {boolean} busy */
function setBusy(busy) {
  find("progress").hidden = !busy;
  document.body.classList.toggle("busy", busy);
}

/** @param {number} share loaded of what a search needs */
function showShare(share) {
  find("progress").style.setProperty("--share", String(share));
  find("progress").classList.toggle("measured", share < 1);
}

/** @param {string} id */
const openDetails = (id) => (shown.item === id ? closeDetails() : go({ ...shown, item: id }));

onTileAction(find("pictures"), {
  open: actions.search,
  details: openDetails,
  add: (id) => actions.add(id, 1),
  subtract: (id) => actions.add(id, -1),
});
createIntake((file) => actions.searchBlob(file, file.name));
createKeys(
  {
    "/": words.focus,
    Escape: escape,
    f: () => facets.toggle(),
    i: () => withActive(openDetails),
    " ": () => withActive(openDetails),
    "+": () => withActive((id) => actions.add(id, 1)),
    "-": () => withActive((id) => actions.add(id, -1)),
  },
  {
    hasFocus: grid.hasFocus,
    move(key) {
      const isMove = grid.move(key);
      if (isMove) follow();
      return isMove;
    },
  },
);
onPlainClick(/** @type {HTMLAnchorElement} */ (find("home")), () =>
  go({ ...START, collection: shown.collection }, { anew: !shown.terms.length }),
);
onPlainClick(/** @type {HTMLAnchorElement} */ (find("skip")), () => grid.focus(grid.active()));
host.onProgress?.(showShare);
grid.blank();
restore();
