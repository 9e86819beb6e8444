// Duplicates side by side: which would be kept and why. Nothing is moved from here.

import { element, onPlainClick } from "../dom.js";
import { bytes, counted, fileOf, number } from "../format.js";
import { button } from "../messages.js";
import { addressOf } from "../state.js";

const PAGE = 50;
const APPLY = "lookalike duplicates --apply plan.json --to trash/\nlookalike duplicates --undo trash/";
/** @type {Record<string, string>} */
const TIERS = {
  bytes: "Identical files",
  pixels: "Identical pixels",
  copy: "Re-encoded or resized",
  edit: "Cropped, mirrored or rotated",
  moment: "The same moment",
};

/** @typedef {import("../contract.js").Card & {size_bytes?: number}} Card */
/** @typedef {import("../contract.js").Duplicates} Duplicates */

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const { collection, tier } = state;
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const list = element("ol", { className: "twice", "aria-label": "Groups of duplicates" });
  const rest = element("div", { className: "actions" });
  const first = await views.duplicates(collection, { offset: 0, limit: PAGE, tier, signal });

  /** @param {Duplicates} found */
  function add(found) {
    list.append(...found.groups.map(groupOf));
    const count = found.offset + found.groups.length;
    const load = () => views.duplicates(collection, { offset: count, limit: PAGE, tier }).then(add);
    const act = () => load().catch((error) => page.fail(error, act));
    const text = `Show more (${number(found.total - count)})`;
    rest.replaceChildren(...(count < found.total ? [button({ text, act }, "action")] : []));
  }

  /** @param {string} text @param {string} name */
  function tierButton(text, name) {
    const made = element("button", { type: "button", "aria-pressed": name === tier, textContent: text });
    made.addEventListener("click", () => page.go({ ...state, tier: name }));
    return made;
  }

  /** @param {Duplicates["groups"][number]} group */
  function groupOf({ keep, why, move }) {
    const others = move.map(({ item, tier, reason }) => figure(item, TIERS[tier] ?? tier, reason, ""));
    return element(
      "li",
      {},
      element("div", { className: "twins" }, figure(keep, "Stays", why.split(":")[0], "stays"), ...others),
    );
  }

  /** @param {Card} item @param {string} title @param {string} text @param {string} className */
  function figure(item, title, text, className) {
    const next = { ...state, item: item.id };
    const picture = item.width
      ? element("img", { src: host.thumbnailUrl(collection, item), alt: fileOf(item.id), loading: "lazy" })
      : element("span", { textContent: fileOf(item.id) });
    const size = `${item.width} × ${item.height}, ${bytes(item.size_bytes ?? 0)}`;
    return element(
      "figure",
      { className },
      onPlainClick(element("a", { href: addressOf(next) }, picture), () => page.go(next)),
      element(
        "figcaption",
        {},
        element("strong", { textContent: title }),
        element("span", { className: "path", textContent: item.id }),
        element("span", { className: "quiet", textContent: `${size} · ${text}` }),
      ),
    );
  }

  add(first);
  const tiers = Object.entries(first.tiers).map(([name, count]) =>
    tierButton(`${TIERS[name]} ${number(count)}`, name),
  );
  const kinds = { className: "views tiers", role: "group", "aria-label": "Kinds of duplicates" };
  const count = counted(first.total, "group");
  const node = element(
    "div",
    {},
    tiers.length ? element("div", kinds, tierButton("All", ""), ...tiers) : null,
    how(first),
    list,
    rest,
  );
  return {
    node,
    status: tiers.length ? `${count} of duplicates` : "There are no duplicates",
  };
}

/** How to move duplicates, which is done in a terminal. @param {Duplicates} found */
function how({ command, left_out: leftOut, tiers }) {
  if (!Object.keys(tiers).length && !leftOut) return null;
  const left = leftOut ? `${counted(leftOut, "more duplicate")} cannot be moved where they are. ` : "";
  return element(
    "details",
    { className: "how" },
    element("summary", { textContent: "How to move them away" }),
    element("p", {
      textContent: `${left}Nothing is moved from here. In a terminal, make a plan, read and change it, and apply it:`,
    }),
    element(
      "pre",
      { tabIndex: 0 },
      element("code", {
        textContent: `${command} --plan plan.json\n${APPLY}`,
      }),
    ),
  );
}
