// Labels that were proposed for pictures without one: each is confirmed or rejected by a person.

import { element, onPlainClick } from "../dom.js";
import { counted, fileOf, number } from "../format.js";
import { createSaying } from "../learning/saying.js";
import { percent } from "../learning/verdict.js";
import { button } from "../messages.js";
import { addressOf } from "../state.js";

const PAGE = 100;

/** @typedef {import("../contract.js").Proposal} Proposal */
/** @typedef {import("../contract.js").Mark} Mark */

/** @type {import("../views.js").Open} */
export async function open(host, page, state, signal) {
  const { collection } = state;
  const marks = /** @type {import("../contract.js").Marks} */ (host.marks);
  const canMark = host.capabilities(collection).marks ?? false;
  const list = element("ol", { className: "strays", "aria-label": "Proposed labels" });
  const tools = element("div", { className: "actions" });
  /** What shows each proposal, by its id. @type {Map<string, {proposal: Proposal, draw: (said: Mark[]) => void}>} */
  const waiting = new Map();
  const { say: saying } = createSaying(host, page);
  const found = await marks.proposals(collection, { offset: 0, limit: PAGE, signal });

  /** Keep marks about some of the pictures, and show what is said of them now. @param {string[]} ids
   * @param {Mark[]} said @param {string} text */
  function say(ids, said, text) {
    const show = async () => {
      for (const id of ids) waiting.get(id)?.draw(await marks.about(collection, { id }));
      drawTools();
    };
    return saying({ collection, marks: said, text, after: show });
  }

  /** @param {Proposal} proposal */
  function itemOf({ item, label, probability }) {
    const { id } = item;
    const node = element("li", {});
    const next = { ...state, item: id };
    const picture = item.width
      ? element("img", { src: host.thumbnailUrl(collection, item), alt: fileOf(id), loading: "lazy" })
      : element("span", { textContent: fileOf(id) });
    const link = onPlainClick(element("a", { href: addressOf(next) }, picture), () => page.go(next));
    const give = () => say([id], [{ kind: "label", ids: [id], value: label }], `Labelled ${label}`);
    const reject = () =>
      say(
        [id],
        [{ kind: "label_proposed", ids: [id], value: { rejected: label } }],
        `${label} is not proposed again`,
      );
    const caption = element("figcaption", {});
    node.append(element("figure", {}, link, caption));

    /** @param {Mark[]} said */
    function draw(said) {
      const hadFocus = node.contains(document.activeElement) && !link.contains(document.activeElement);
      const given = said.find(({ kind }) => kind === "label")?.value;
      const isOpen = said.some(({ kind, value }) => kind === "label_proposed" && value.label);
      const text = given ?? (isOpen ? percent(probability) : "rejected");
      const buttons = [
        answer("Yes", `Yes, label it ${label}`, give),
        answer("No", `No, it is not ${label}`, reject),
      ];
      caption.replaceChildren(
        element("strong", { textContent: label }),
        element("span", { className: "quiet", textContent: given === label ? "labelled" : text }),
        ...(isOpen && canMark ? [element("div", { className: "says" }, ...buttons)] : []),
      );
      waiting.set(id, { proposal: { item, label, probability: isOpen ? probability : 0 }, draw });
      if (hadFocus) (node.querySelector("button") ?? link).focus();
    }

    draw([{ kind: "label_proposed", ids: [id], value: { label } }]);
    return node;
  }

  /** @param {string} text @param {string} name @param {() => void} act */
  function answer(text, name, act) {
    const made = button({ text, act }, "action");
    made.setAttribute("aria-label", name);
    return made;
  }

  function drawTools() {
    const open = [...waiting.values()].flatMap(({ proposal }) => (proposal.probability ? [proposal] : []));
    const all = () => {
      const labels = [...new Set(open.map(({ label }) => label))];
      const of = (/** @type {string} */ value) =>
        open.filter(({ label }) => label === value).map(({ item }) => item.id);
      const said = labels.map((value) => ({ kind: "label", ids: of(value), value }));
      const ids = open.map(({ item }) => item.id);
      return say(ids, said, `${counted(ids.length, "picture")} labelled`);
    };
    const rest = found.total - list.children.length;
    const more = async () => {
      const some = await marks.proposals(collection, { offset: open.length, limit: PAGE });
      const fresh = some.proposals.filter(({ item }) => !waiting.has(item.id));
      list.append(...fresh.map(itemOf));
      found.total = list.children.length + some.total - open.length - fresh.length;
      drawTools();
    };
    tools.replaceChildren(
      ...(canMark && open.length
        ? [button({ text: `Confirm all ${number(open.length)} shown`, act: all }, "action")]
        : []),
      ...(rest > 0
        ? [button({ text: `Show more (${number(rest)})`, act: () => more().catch((error) => page.fail(error, more)) }, "action")]
        : []),
    );
  }

  list.append(...found.proposals.map(itemOf));
  drawTools();
  const about = element("p", {
    className: "quiet about",
  });
  about.append("Proposed by ", element("code", { textContent: "lookalike identify --fill" }), ", the surest first.");
  const status = found.total ? `${counted(found.total, "label")} to confirm` : "No label waits to be confirmed";
  return { node: element("div", {}, about, tools, list), status };
}
