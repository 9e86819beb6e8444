// Duplicates side by side: which would be kept and why. Nothing is moved from here, but people can say that two
// pictures are not duplicates, or which one stays, and the next run respects that.

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
  edit: "Cropped, mirrored, turned or watermarked",
  moment: "The same moment",
};

/** @typedef {import("../contract.js").Card & {size_bytes?: number}} Card */
/** @typedef {import("../contract.js").Duplicates} Duplicates */
/** @typedef {Duplicates["groups"][number]} Group */

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const { collection, tier } = state;
  const views = /** @type {import("../contract.js").Views} */ (host.views);
  const marks = /** @type {import("../contract.js").Marks} */ (host.marks);
  const canMark = host.capabilities(collection).marks;
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

  /** @param {Group} group */
  function groupOf(group) {
    const { keep, why, move } = group;
    const node = element("li", {});

    /**
     * Say something, and show it once it is kept.
     * @param {string} name of the button, which gets the focus back @param {() => Promise<void>} say
     */
    function saying(name, say) {
      const act = async () => {
        try {
          await say();
          draw();
          /** @type {HTMLElement | undefined} */ (
            [...node.querySelectorAll("button")].find((one) => one.dataset.name === name)
          )?.focus();
        } catch (error) {
          page.fail(error, act);
        }
      };
      return act;
    }

    /** @param {Group["move"][number]} one @param {number} place */
    function other(one, place) {
      const [apart, stays] = [`apart ${place}`, `stays ${place}`];
      const isApart = toggle("Not a duplicate", apart, one.not_duplicate, saying(apart, () => setApart(one)));
      const isKept = toggle("Keep this one", stays, one.kept, saying(stays, () => setKept(one)));
      const said = one.not_duplicate ? "You said: not a duplicate" : one.kept ? "You said: this one stays" : "";
      return figure(one.item, said || (TIERS[one.tier] ?? one.tier), one.reason, "", canMark ? [isApart, isKept] : []);
    }

    /** @param {Group["move"][number]} one */
    async function setApart(one) {
      const value = one.not_duplicate ? null : true;
      await marks.keep(collection, [{ kind: "not_duplicate", ids: [keep.id, one.item.id], value }]);
      one.not_duplicate = value === true;
    }

    /** One at a time stays instead of the first. @param {Group["move"][number]} one */
    async function setKept(one) {
      const before = [...(group.kept ? [{ item: keep }] : []), ...move.filter(({ kept }) => kept)];
      const value = one.kept ? null : true;
      const others = before.flatMap(({ item }) => (item.id === one.item.id ? [] : [item.id]));
      const gone = { kind: "keep", ids: others, value: null };
      await marks.keep(collection, [...(others.length ? [gone] : []), { kind: "keep", ids: [one.item.id], value }]);
      group.kept = false;
      for (const two of move) two.kept = two === one && value === true;
    }

    function draw() {
      const isReplaced = move.some(({ kept }) => kept);
      const first = isReplaced ? figure(keep, "Goes instead, after the next run", "", "") : null;
      const stays = first ?? figure(keep, "Stays", why.split(":")[0], "stays");
      node.replaceChildren(element("div", { className: "twins" }, stays, ...move.map(other)));
    }

    draw();
    return node;
  }

  /** @param {string} text @param {string} name @param {boolean} pressed @param {() => void} act */
  function toggle(text, name, pressed, act) {
    const made = button({ text, act }, "action");
    made.setAttribute("aria-pressed", String(pressed));
    made.dataset.name = name;
    return made;
  }

  /**
   * @param {Card} item @param {string} title @param {string} text @param {string} className
   * @param {HTMLElement[]} [buttons]
   */
  function figure(item, title, text, className, buttons = []) {
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
        element("span", { className: "quiet", textContent: [size, text].filter(Boolean).join(" · ") }),
        buttons.length ? element("div", { className: "says" }, ...buttons) : null,
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
