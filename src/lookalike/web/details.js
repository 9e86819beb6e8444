// The panel of one picture: shows it large, with its facts, similar pictures, and why it was found.

import { element, find, icon, iconButton, onPlainClick } from "./dom.js";
import { fileOf, nameOf } from "./format.js";
import { cardOf, facts, tagsOf } from "./facts.js";

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./contract.js").Host} Host */
/** @typedef {import("./terms.js").Term} Term */
/**
 * What the panel shows: an item, or the user's own picture.
 * @typedef {{kind: "item", id: string, card?: Card} | {kind: "own", term: Term, url: string, name: string,
 *   tags: string[]}} Subject
 */

const NEIGHBOURS = 12;

/**
 * @param {Host} host
 * @param {{
 *   hrefTo: (id: string) => string, onOpen: (id: string) => void, onClose: () => void,
 *   onSearch: (id: string) => void, onTerm: (id: string, weight: 1 | -1) => void,
 *   onTag: (tag: string) => void, onStep: (step: 1 | -1) => void,
 *   onRegion: (part: Blob, name: string) => void,
 *   queryOf: () => {url: string, name: string, tags: () => Promise<string[]>} | null,
 *   learning: ReturnType<typeof import("./learning.js").createLearning>,
 *   onError: (error: unknown) => void}} options
 */
export function createDetails(host, options) {
  const [panel, body] = [find("details"), find("details-body")];
  let turn = new AbortController();
  /** What is shown: the address of the user's own picture, or an item. */
  let shown = "";
  /** The row of the item that is shown. @type {{collection: string, row: Record<string, any>} | null} */
  let known = null;
  /** What had the focus before. @type {Element | null} */
  let opener = null;

  find("details-close").addEventListener("click", options.onClose);
  find("details-previous").addEventListener("click", () => options.onStep(-1));
  find("details-next").addEventListener("click", () => options.onStep(1));

  function close() {
    turn.abort();
    shown = "";
    known = null;
    if (panel.contains(document.activeElement)) /** @type {HTMLElement | null} */ (opener)?.focus();
    panel.hidden = true;
    body.replaceChildren();
  }

  /** @param {string} collection @param {Subject} subject */
  async function show(collection, subject) {
    const key = subject.kind === "own" ? subject.url : `${collection} ${subject.id}`;
    // The query may have changed, and so may the reason why this picture was found.
    if (key === shown) return void (subject.kind === "item" && addComparison(subject.card, turn.signal));
    turn.abort();
    const { signal } = (turn = new AbortController());
    shown = key;
    known = null;
    if (panel.hidden) opener = document.activeElement;
    panel.hidden = false;
    // If the panel covers the pictures, the focus moves to the panel.
    if (matchMedia("(max-width: 900px)").matches) find("details-close").focus({ preventScroll: true });
    body.scrollTop = 0;
    for (const id of ["details-previous", "details-next"]) find(id).hidden = subject.kind === "own";
    if (subject.kind === "own") return showOwn(collection, subject);
    find("details-title").textContent = subject.card ? nameOf(subject.card) : fileOf(subject.id);
    if (subject.card?.width)
      body.replaceChildren(stageOf(collection, subject.card), element("div", { className: "waiting" }));
    try {
      const row = await host.item(collection, subject.id, { signal });
      known = { collection, row };
      const card = { ...subject.card, ...cardOf(row) };
      find("details-title").textContent = nameOf(card);
      const waiting = subject.card?.width ? /** @type {HTMLElement} */ (body.firstElementChild) : null;
      const like = element("div", { className: "neighbours" });
      const label = options.learning.hasLabel(collection, row) ? element("div", { className: "labelled" }) : null;
      const picture = card.width ? [waiting ?? stageOf(collection, card), hint(collection)] : [];
      fill(
        ...picture,
        actionsOf(collection, card),
        label && section("Label", label),
        tagList(tagsOf(row)),
        section("Similar pictures", like),
        section("Information", facts(label ? { ...row, label: null } : row)),
      );
      if (label) options.learning.showLabel(label, collection, row);
      await Promise.all([addNeighbours(collection, card.id, like, signal), addComparison(card, signal)]);
    } catch (error) {
      if (signal.aborted) return;
      shown = "";
      options.onError(error);
    }
  }

  /** @param {string} collection @param {Extract<Subject, {kind: "own"}>} own */
  async function showOwn(collection, own) {
    find("details-title").textContent = own.name;
    const probe = Object.assign(new Image(), { src: own.url });
    await probe.decode().catch(() => {});
    const size = { width: probe.naturalWidth || 1, height: probe.naturalHeight || 1 };
    const stage = createStage(size, own.url, null, own.name);
    fill(stage, hint(collection), tagList(own.tags));
  }

  /** @param {(Node | null)[]} parts */
  function fill(...parts) {
    body.replaceChildren(...parts.filter((part) => part !== null));
  }

  /** @param {string} collection @param {Card} card */
  function stageOf(collection, card) {
    return createStage(
      card,
      host.thumbnailUrl(collection, card),
      host.imageUrl(collection, card),
      nameOf(card),
    );
  }

  /** A picture to draw a frame on; the original replaces the thumbnail once it is loaded.
   * @param {{width: number, height: number}} size @param {string} url @param {string | null} original
   * @param {string} name */
  function createStage({ width, height }, url, original, name) {
    const image = element("img", { src: url, alt: name, draggable: false });
    const stage = element("div", { className: "stage" }, image);
    stage.style.setProperty("--shape", (width / height || 1).toFixed(4));
    if (original) {
      const large = new Image();
      large.onload = () => (image.src = large.src);
      large.src = original;
    }
    import("./details/region.js").then(({ createRegion, cut }) =>
      createRegion(stage, async (box) => options.onRegion(await cut(image, box), name)),
    );
    return element("div", { className: "stage-place" }, stage);
  }

  /** @param {string} collection */
  function hint(collection) {
    const { pictures } = host.capabilities(collection);
    if (!pictures) {
      body.classList.add("whole-only");
      return null;
    }
    body.classList.remove("whole-only");
    return element(
      "p",
      { className: "hint" },
      icon("region"),
      "Draw a frame around a part of the picture to search for it",
    );
  }

  /** @param {string} collection @param {Card} card */
  function actionsOf(collection, card) {
    const search = element(
      "button",
      { type: "button", className: "primary" },
      icon("similar"),
      "Find similar",
    );
    search.addEventListener("click", () => options.onSearch(card.id));
    const original = card.width ? host.imageUrl(collection, card) : null;
    const open =
      original &&
      element(
        "a",
        {
          className: "round",
          href: original,
          target: "_blank",
          rel: "noopener",
          title: "Open the original",
          "aria-label": "Open the original",
        },
        icon("open"),
      );
    return element(
      "div",
      { className: "detail-actions" },
      search,
      iconButton("plus", "More like this too", () => options.onTerm(card.id, 1)),
      iconButton("minus", "Less like this", () => options.onTerm(card.id, -1)),
      open,
    );
  }

  /** @param {string[]} tags */
  function tagList(tags) {
    if (!tags.length) return null;
    const buttons = tags.map((tag) => {
      const made = element("button", { type: "button", className: "tag", textContent: tag });
      made.addEventListener("click", () => options.onTag(tag));
      return element("li", {}, made);
    });
    return section("What the network sees", element("ul", { className: "tags" }, ...buttons));
  }

  /** @param {string} collection @param {string} id @param {HTMLElement} place @param {AbortSignal} signal */
  async function addNeighbours(collection, id, place, signal) {
    const terms = [{ id, weight: 1 }];
    const { hits } = await host.search(collection, { terms, k: NEIGHBOURS, filters: [], where: "", signal });
    place.replaceChildren(
      ...hits.map((hit) => {
        const src = host.thumbnailUrl(collection, hit);
        const picture = hit.width
          ? element("img", { src, alt: nameOf(hit), loading: "lazy" })
          : element("span", { className: "instead", textContent: nameOf(hit) });
        const link = element("a", { href: options.hrefTo(hit.id), title: fileOf(hit.id) }, picture);
        return onPlainClick(link, () => options.onOpen(hit.id));
      }),
    );
  }

  /** Show why the item was found, if it is a hit. @param {Card | undefined} card @param {AbortSignal} signal */
  async function addComparison(card, signal) {
    const [query, of] = [options.queryOf(), known];
    const tags = of && query && card?.score !== undefined ? await query.tags().catch(() => []) : [];
    if (signal.aborted || of !== known) return;
    body.querySelector(".why")?.parentElement?.remove();
    if (!query || !of || card?.score === undefined) return;
    const shared = tagsOf(of.row).filter((tag) => tags.includes(tag));
    const { comparison } = await import("./details/why.js");
    if (signal.aborted || of !== known) return;
    const why = comparison({
      query,
      card,
      url: card.width ? host.thumbnailUrl(of.collection, card) : "",
      shared,
    });
    body.querySelector(".detail-actions")?.after(section("Why this one", why));
  }

  /** Show another label of the item that is shown. @param {string} id @param {string | null} label */
  function rename(id, label) {
    if (known?.row.id === id) find("details-title").textContent = nameOf({ id, label });
  }

  return { show, close, rename, isOpen: () => !panel.hidden, isOwn: () => shown.startsWith("blob:") };
}

/** @param {string} title @param {HTMLElement} content */
function section(title, content) {
  return element("section", { className: "part" }, element("h3", { textContent: title }), content);
}
