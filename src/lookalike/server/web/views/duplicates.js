// What is there twice, side by side: what would be kept and why. Nothing is moved from here.

import { element, onPlainClick } from "../dom.js";
import { bytes, counted, fileOf } from "../format.js";
import { button } from "../messages.js";
import { addressOf } from "../state.js";

const PAGE = 50;
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
  const { collection } = state;
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const list = element("ol", { className: "twice", "aria-label": "Groups of duplicates" });
  const rest = element("div", { className: "actions" });
  const first = await views.duplicates(collection, { offset: 0, limit: PAGE, signal });
  const tiers = element("div", {
    className: "views tiers",
    role: "group",
    "aria-label": "Kinds of duplicates",
  });

  /** @param {Duplicates} found @param {string} tier */
  function add(found, tier) {
    if (!found.offset) list.replaceChildren();
    list.append(...found.groups.map(groupOf));
    const count = found.offset + found.groups.length;
    const load = async () =>
      add(await views.duplicates(collection, { offset: count, limit: PAGE, tier }), tier);
    const more = { text: "Show more", act: () => attempt(load) };
    rest.replaceChildren(...(count < found.total ? [button(more, "action")] : []));
  }

  /** @param {() => Promise<void>} load */
  function attempt(load) {
    load().catch((error) => page.fail(error, () => attempt(load)));
  }

  /** @param {string} text @param {string} tier */
  function tierButton(text, tier) {
    const made = element("button", {
      type: "button",
      "aria-pressed": String(tier === ""),
      textContent: text,
    });
    const load = async () => add(await views.duplicates(collection, { offset: 0, limit: PAGE, tier }), tier);
    made.addEventListener("click", () => {
      for (const one of tiers.children) one.setAttribute("aria-pressed", String(one === made));
      attempt(load);
    });
    return made;
  }

  /** @param {Duplicates["groups"][number]} group */
  function groupOf({ keep, why, move }) {
    const others = move.map(({ item, tier, reason }) => figure(item, TIERS[tier] ?? tier, reason, ""));
    return element(
      "li",
      {},
      element("div", { className: "twins" }, figure(keep, "Stays", why, "stays"), ...others),
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

  const all = element("div", {}, tiers);
  tiers.append(
    tierButton("All", ""),
    ...Object.entries(first.tiers).map(([tier, count]) => tierButton(`${TIERS[tier]} ${count}`, tier)),
  );
  add(first, "");
  tiers.hidden = !first.total;
  all.append(how(first), list, rest);
  return { node: all, status: first.total ? counted(first.total, "group") : "Nothing is there twice" };
}

/** How to move them, which is done in a terminal. @param {Duplicates} found */
function how({ command, left_out: leftOut, total }) {
  if (!total && !leftOut) return "";
  const left = leftOut ? `${counted(leftOut, "more duplicate")} lie where no file can be moved. ` : "";
  return element(
    "section",
    { className: "how", "aria-label": "How to move them" },
    element("p", {
      textContent: `${left}Nothing is moved from here. In a terminal, the plan can be read, changed and applied:`,
    }),
    element(
      "pre",
      { tabIndex: 0 },
      element("code", {
        textContent: `${command} --plan plan.json\nlookalike duplicates --apply plan.json --to trash/`,
      }),
    ),
  );
}
