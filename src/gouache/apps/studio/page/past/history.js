// What was painted and what waits: the tree of a picture's history, the gallery and the queue.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { brief, galleryOf, nodeOf, nodeUrl, queueOf, treeOf, wordsOf } from "../selectors.js";

const KINDS = { start: "start", drawn: "drawn on", prompt: "new words", end: "end" };
const HINTS = {
  tree: "Each start, stroke, change of words and end appears here.",
  gallery: "Pictures stay here, after a restart too.",
  queue: "Nothing waits.",
};

/** `items`, or one that says that there are none. */
const orHint = (items, hint) => (items.length ? items : [{ id: "none", hint }]);

function thumb(chosen) {
  const image = made("img", { alt: "", loading: "lazy" });
  const button = made("button", { className: "thumb" }, image, made("span"));
  button.addEventListener("click", chosen);
  return button;
}

function fillThumb(button, { url, caption, title, pressed }) {
  const [image, words] = button.children;
  put(image, { hidden: !url });
  attributes(image, { src: url || null });
  put(words, { textContent: caption });
  attributes(button, { title, "aria-pressed": pressed });
}

export function mount({ actions }) {
  const byId = ({ id }) => id;

  // The tree.

  function makeBranch(item) {
    if (item.hint) return made("li", { className: "hint" });
    return made("li", {}, made("p", { className: "run" }), made("div", { className: "thumbs" }), made("ul"));
  }

  function fillNode(button, { run, node, pressed }) {
    const words = node.prompt ? `: ${brief(node.prompt, 40)}` : "";
    fillThumb(button, {
      url: nodeUrl(run.id, node.node),
      caption: `${KINDS[node.kind] ?? node.kind} ${node.step}${words}`,
      title: node.prompt || null,
      pressed,
    });
  }

  const fillBranch = (shown) => (branch, { run, children, hint }) => {
    if (hint) return put(branch, { textContent: hint });
    const [name, nodes, list] = branch.children;
    attributes(name, { "aria-current": run.id === shown.run ? "true" : null });
    const what = run.kind === "edit" ? "edit: " : "";
    put(name, { textContent: `${what}${brief(wordsOf(run))} · ${run.status}` });
    const here = (node) => run.id === shown.run && node.node === shown.node;
    keyed(
      nodes,
      run.nodes.map((node) => ({ id: node.node, run, node, pressed: here(node) })),
      byId,
      ({ node }) => thumb(() => actions.choose(run.id, node.node)),
      fillNode,
    );
    put(list, { hidden: !children.length });
    grow(list, children, shown);
    return branch;
  };

  const grow = (list, branches, shown) =>
    keyed(list, branches, (one) => one.run?.id ?? "none", makeBranch, fillBranch(shown));

  // The gallery.

  const fillPicture = (shown) => (button, { hint, ...run }) => {
    if (hint) return put(button, { textContent: hint });
    const words = wordsOf(run);
    const last = run.nodes.length ? nodeUrl(run.id, run.nodes.at(-1).node) : "";
    return fillThumb(button, {
      url: run.picture ? `/api/runs/${run.id}/picture.png` : last,
      caption: run.status === "done" ? brief(words, 40) : `${run.status}: ${brief(words, 28)}`,
      title: run.error ? `${words}: ${run.error}` : words,
      pressed: run.id === shown.run,
    });
  };

  // The queue.

  function makeWaiting({ id, hint }) {
    if (hint) return made("li", { className: "hint" });
    const show = made("button", { textContent: "Show" });
    show.addEventListener("click", () => actions.choose(id));
    const end = made("button", { className: "cancel" });
    end.addEventListener("click", () => actions.cancel(id));
    return made("li", {}, made("span"), show, end);
  }

  function fillWaiting(item, { hint, ...run }) {
    if (hint) return put(item, { textContent: hint });
    const [words, , end] = item.children;
    const state = run.position ? `waits, number ${run.position}` : run.status;
    put(words, { textContent: `${brief(wordsOf(run), 40)} (${state})` });
    return put(end, { textContent: run.position ? "Cancel" : "Stop" });
  }

  function update(state) {
    const shown = { run: state.shown?.run ?? null, node: nodeOf(state) };
    const root = treeOf(state);
    grow($("tree").firstElementChild, root ? [root] : [{ hint: HINTS.tree }], shown);
    keyed(
      $("gallery"),
      orHint(galleryOf(state), HINTS.gallery),
      byId,
      ({ id, hint }) => (hint ? made("span") : thumb(() => actions.choose(id))),
      fillPicture(shown),
    );
    keyed($("queue"), orHint(queueOf(state), HINTS.queue), byId, makeWaiting, fillWaiting);
  }

  return { update };
}
