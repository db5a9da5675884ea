// Changing a part of the picture: what is there, what it becomes, and the tries on it to choose from.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { partOf, runOf, subjectOf, wordings } from "../selectors.js";

const FIELDS = ["phrase", "replace"];
const EDGES = ["grow", "feather"]; // settings, each with a slider
const SMALL = 0.03; // of the picture: in less there is no room for a thing
const TOO_SMALL = " That is small: new words may not fit in it. Mark more, or make it wider.";
const SEVERAL = "Several at once: with “ / ” between them.";
const MARKED = {
  true: "Nothing is marked: all of the picture would change and keep its structure.",
  false: "What is tinted changes; all else stays as it is.",
};

export function mount({ store, actions, easel }) {
  let [sized, small] = ["", false]; // of which mask it is known whether it is small
  for (const field of FIELDS) {
    $(field).addEventListener("input", () => store.dispatch({ type: "wrote", field, text: $(field).value }));
    $(field).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
      actions.buttons[field === "phrase" ? "find" : "repaint"](event);
      event.preventDefault();
    });
  }
  for (const name of EDGES) {
    for (const done of [false, true]) {
      $(`mask-${name}`).addEventListener(done ? "change" : "input", ({ target }) =>
        store.dispatch({ type: "set", name, value: target.value, done }));
    }
  }
  $("compare-try").addEventListener("click", async () => {
    const { base } = partOf(store.state);
    await actions.compare({ run: base.run, node: base.node });
    await actions.choose(runOf(store.state).id);
  });
  $("tries-count").addEventListener("change", ({ target }) =>
    store.dispatch({ type: "counted", count: Number(target.value) }));

  function make({ id, node }) {
    const button = made("button", { type: "button" }, made("img", { alt: "" }), made("span"));
    button.addEventListener("click", () => actions.pick(id, node));
    return made("li", {}, button);
  }

  function fill(item, { words, url, shown, kept = false }) {
    const [image, name] = item.firstChild.children;
    put(name, { textContent: kept ? `✓ ${words}` : words });
    if (url) attributes(image, { src: url });
    attributes(item.firstChild, { "aria-pressed": shown });
  }

  /** How many tries are made: each wording has as many. */
  function counted({ draft, tries }) {
    const words = wordings(draft.replace).length;
    if (words * tries < 2) return SEVERAL;
    return `${words} wording${words > 1 ? "s" : ""} × ${tries} ${tries > 1 ? "tries" : "try"} = ${words * tries} pictures`;
  }

  /** The picture of before, and the tries on it. */
  function choices(state) {
    const part = partOf(state);
    if (!part) return [];
    const { base, tries } = part;
    const run = runOf(state);
    const picture = (id) => {
      const one = state.runs.get(id);
      return one && (one.shown || one.nodes.length) ? `/api/runs/${id}/frame.jpg?v=${one.version}` : "";
    };
    const before = base.node === null ? picture(base.run) : `/api/runs/${base.run}/nodes/${base.node}.png`;
    const first = { key: "before", id: base.run, node: base.node, words: "Before", url: before, shown: run?.id === base.run };
    const others = tries.filter(({ id }) => state.runs.has(id)).map(({ id, words, own }) =>
      ({ key: id, id, node: null, words, url: picture(id), shown: run?.id === id, kept: own }));
    return [...(state.runs.has(base.run) ? [first] : []), ...others];
  }

  /** What is told of the mask: of a small one, that too. */
  function markOf({ notices, layers: { mask }, ...state }) {
    const now = `${subjectOf(state)} ${mask.version}`;
    if (now !== sized) small = !mask.empty && !easel.mask.covers(SMALL);
    sized = now;
    return `${notices.mask ?? MARKED[mask.empty]}${small ? TOO_SMALL : ""}`;
  }

  let known = [];

  function update(state) {
    const { draft, form, parts, runs, shown } = state;
    for (const name of EDGES) {
      const value = form[name] ?? "";
      put($(`mask-${name}`), { value });
      put($(`mask-${name}-is`), { textContent: `${value} px` });
    }
    for (const field of FIELDS) put($(field), { value: draft[field] });
    put($("mask-note"), { textContent: markOf(state) });
    put($("tries-count"), { value: String(state.tries) });
    put($("replace-several"), { textContent: counted(state) });
    const now = [parts, runs, shown];
    if (now.every((one, at) => one === known[at])) return;
    known = now;
    const all = choices(state);
    put($("trying"), { hidden: !all.length });
    const more = all.length > $("tries").children.length;
    keyed($("tries"), all, ({ key }) => key, make, fill);
    if (more && $("tries").offsetParent) $("tries").scrollIntoView({ block: "nearest" }); // a phone has little room
  }

  return { update };
}
