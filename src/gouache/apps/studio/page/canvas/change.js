// Changing a part of the picture: what is there, what it becomes, and the tries on it to choose from.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { runOf } from "../selectors.js";

const FIELDS = ["phrase", "replace"];
const MASK = { true: "Without a mask all of the picture changes and keeps its structure.", false: "The mask is what changes." };

export function mount({ store, actions }) {
  for (const field of FIELDS) {
    $(field).addEventListener("input", () => store.dispatch({ type: "wrote", field, text: $(field).value }));
    $(field).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
      actions.buttons[field === "phrase" ? "find" : "repaint"](event);
      event.preventDefault();
    });
  }
  $("mask-size").addEventListener("input", ({ target }) =>
    store.dispatch({ type: "held", size: Number(target.value) }));
  for (const done of [false, true]) {
    $("mask-feather").addEventListener(done ? "change" : "input", ({ target }) =>
      store.dispatch({ type: "set", name: "feather", value: target.value, done }));
  }
  $("tries-count").addEventListener("change", ({ target }) =>
    store.dispatch({ type: "counted", count: Number(target.value) }));

  function make({ id, node }) {
    const button = made("button", { type: "button" }, made("img", { alt: "" }), made("span"));
    button.addEventListener("click", () => actions.pick(id, node));
    return made("li", {}, button);
  }

  function fill(item, { words, url, shown }) {
    const [image, name] = item.firstChild.children;
    put(name, { textContent: words });
    put(image, { hidden: !url });
    if (url) attributes(image, { src: url });
    attributes(item.firstChild, { "aria-pressed": shown });
  }

  /** The picture of before, and the tries. */
  function choices(state) {
    const { base, tries } = state.part;
    if (!base) return [];
    const run = runOf(state);
    const picture = (id) => {
      const one = state.runs.get(id);
      return one && (one.shown || one.nodes.length) ? `/api/runs/${id}/frame.jpg?v=${one.version}` : "";
    };
    const before = base.node === null ? picture(base.run) : `/api/runs/${base.run}/nodes/${base.node}.png`;
    const first = { key: "before", id: base.run, node: base.node, words: "Before", url: before, shown: run?.id === base.run };
    const others = tries.filter(({ id }) => state.runs.has(id)).map(({ id, words }) =>
      ({ key: id, id, node: null, words, url: picture(id), shown: run?.id === id }));
    return [...(state.runs.has(base.run) ? [first] : []), ...others];
  }

  let known = [];

  function update(state) {
    const { draft, form, hand, notices, layers, part, runs, shown } = state;
    for (const [name, value, unit] of [["size", hand.size, ""], ["feather", form.feather ?? "", " px"]]) {
      put($(`mask-${name}`), { value: String(value) });
      put($(`mask-${name}-is`), { textContent: `${value}${unit}` });
    }
    for (const field of FIELDS) put($(field), { value: draft[field] });
    put($("mask-note"), { textContent: notices.mask ?? MASK[layers.mask.empty] });
    put($("tries-count"), { value: String(part.count) });
    const parts = [part, runs, shown];
    if (parts.every((one, at) => one === known[at])) return;
    known = parts;
    put($("trying"), { hidden: !part.tries.length });
    keyed($("tries"), choices(state), ({ key }) => key, make, fill);
  }

  return { update };
}
