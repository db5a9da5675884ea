// The history of the picture that is shown, as a tree: its points, and what was painted from them.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { brief, ENDED, isGridded, nodeOf, OPEN, runOf } from "../selectors.js";
import { menuOf } from "./menu.js";
import { nodeIn, originOf, pictureUrl, pointName, shownPicture, thumbUrl, titleOf, treeOf } from "./selectors.js";
import { arrows, fillStar, fillThumb, keysOf, thumb } from "./thumbs.js";

const NOW = "now"; // the point that a run is at, while it can go on
const EVERY = 10; // steps until its small picture is fetched again

export function mount({ store, actions }) {
  const [tree, empty, name, favourite] = ["tree", "tree-empty", "name", "favourite"].map($);
  const root = tree.firstElementChild;
  const byId = ({ id }) => id;
  let seen = ""; // the point that was scrolled to
  let of = null; // the picture that is named
  const settle = arrows(tree, keysOf(actions));
  menuOf($("history-more"), $("history-menu"));

  // The picture that is shown.

  function rename() {
    if (of) actions.edit(of, { name: name.value.trim() });
  }
  name.addEventListener("change", rename);
  name.addEventListener("keydown", (event) => {
    if (event.key === "Escape") put(name, { value: shownName(store.state) });
    if (["Enter", "Escape"].includes(event.key)) name.blur();
  });
  favourite.addEventListener("click", () => of && actions.like(of));

  function about(state) {
    const [run, node] = [runOf(state), nodeOf(state)];
    return node === null ? run : (run && nodeIn(run, node));
  }

  const shownName = (state) => about(state)?.name ?? "";

  function fillShown(state) {
    const [one, now] = [about(state), shownPicture(state)];
    const other = now?.run !== of?.run || now?.node !== of?.node;
    if (other && name === document.activeElement) name.blur(); // what was typed belongs to the one before
    of = now;
    put(name, { disabled: !one });
    put(favourite, { disabled: !one });
    if (other || name !== document.activeElement) put(name, { value: shownName(state) });
    const called = one ? titleOf(runOf(state)) : "";
    put(name, { placeholder: one ? "Give it a name" : "Nothing is shown" });
    fillStar(favourite, one?.favourite, brief(called, 60));
  }

  // The tree.

  function makeBranch() {
    const from = made("span", { className: "from" });
    const head = made("p", { className: "run" }, made("span"), from);
    return made("li", {}, head, made("div", { className: "thumbs" }), made("ul"));
  }

  const makePoint = ({ picture }) => thumb(picture, actions.choose);

  function fillPoint(button, { run, point, pressed }) {
    const now = point.kind === NOW;
    const words = point.name || (point.prompt ? brief(point.prompt, 40) : "");
    const kind = now ? `now, step ${point.step}` : pointName(run, { ...point, name: "" });
    const live = `${pictureUrl(run, null).split("?")[0]}?v=${run.id}-${Math.floor(run.step / EVERY)}`;
    fillThumb(button, {
      url: now ? (run.shown || run.step ? live : "") : thumbUrl(run, point.node),
      caption: words ? `${kind}: ${words}` : kind,
      title: now ? "As it is now" : `Go back to here${words ? `: ${point.name || point.prompt}` : ""}`,
      pressed,
    });
    button.classList.toggle("liked", Boolean(point.favourite));
    button.classList.toggle("live", now);
  }

  const fillBranch = (state, shown) => (branch, { run, children }) => {
    const [head, points, list] = branch.children;
    attributes(head, { "aria-current": run.id === shown?.run ? "true" : null });
    const [words, from] = head.children;
    put(words, { textContent: `${run.favourite ? "★ " : ""}${brief(titleOf(run))} · ${run.status}` });
    put(from, { textContent: originOf(state, run) });
    const items = run.nodes.map((point) => ({ id: point.node, run, point, node: point.node }));
    if (!ENDED.includes(run.status) || OPEN.includes(run.status)) {
      items.push({ id: NOW, run, point: { kind: NOW, step: run.step }, node: null });
    }
    // An ended run is its last point.
    const at = run.id === shown?.run ? (shown.node ?? items.at(-1)?.node) : undefined;
    for (const item of items) Object.assign(item, { picture: { run: run.id, node: item.node }, pressed: item.node === at });
    keyed(points, items, byId, makePoint, fillPoint);
    list.className = children.length > 1 ? "fork" : "chain";
    put(list, { hidden: !children.length });
    grow(state, shown, list, children);
  };

  function grow(state, shown, list, branches) {
    keyed(list, branches, ({ run }) => run.id, makeBranch, fillBranch(state, shown));
  }

  function update(state) {
    fillShown(state);
    const [whole, shown] = [treeOf(state), shownPicture(state)];
    put(empty, { hidden: Boolean(whole) });
    put($("tree-hint"), { hidden: !whole });
    grow(state, shown, root, whole ? [whole] : []);
    settle();
    const here = shown && !isGridded(state) ? `${shown.run}/${shown.node}` : "";
    const branch = here === seen ? null : tree.querySelector('[aria-current="true"]');
    if (branch?.offsetParent && !tree.contains(document.activeElement)) {
      const point = branch.nextSibling.querySelector('[aria-pressed="true"]');
      for (const part of [branch.nextSibling, branch, point]) part?.scrollIntoView({ block: "nearest" });
    }
    seen = tree.offsetParent ? here : ""; // each time that the history is opened it is brought into sight
  }

  return { update };
}
