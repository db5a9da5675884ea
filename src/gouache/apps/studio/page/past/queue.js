// What is painted and what waits.

import { $, keyed, made, put } from "../nodes.js";
import { brief } from "../selectors.js";
import { queueOf, titleOf } from "./selectors.js";

export function mount({ actions }) {
  const [box, list] = [$("waiting"), $("queue")];

  function make({ id }) {
    const show = made("button", { textContent: "Show" });
    show.addEventListener("click", () => actions.choose(id));
    const end = made("button", { className: "cancel" });
    end.addEventListener("click", () => actions.cancel(id));
    return made("li", {}, made("span"), show, end);
  }

  function fill(item, run) {
    const [words, , end] = item.children;
    const state = run.position ? `waits, number ${run.position}` : run.status;
    put(words, { textContent: `${brief(titleOf(run), 40)} (${state})` });
    put(end, { textContent: run.position ? "Cancel" : "Stop" });
  }

  function update(state) {
    const queue = queueOf(state);
    keyed(list, queue, ({ id }) => id, make, fill);
    put(box, { hidden: !queue.length && !box.contains(document.activeElement) });
  }

  return { update };
}
