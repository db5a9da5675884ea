// The room of what is said on the easel: one line of it, beside how it goes; all of it where that is asked for; and
// where it lies over the picture a small button after a while, which has all of it still.

import { $, attributes, laysOver, put } from "../nodes.js";
import { saidOf } from "./notes.js";

const LOOK = 1000; // milliseconds between two looks
const SEEN = { false: 8, true: 25 }; // looks at what lies over the picture until it folds: at a line, at all of it

const count = (number, one) => `${number} ${one}${number > 1 ? "s" : ""}`;

export function mount({ store }) {
  const [news, more, stage] = ["news", "news-more", "stage"].map($);
  const lines = ["problem", "warnings", "note"].map($);
  const said = [$("bin"), ...lines.map((line) => line.parentNode)];
  let [open, folded, looks, known] = [false, false, 0, ""];

  /** Brings the page in line; lines are measured as they are now. */
  function show() {
    const there = said.filter((node) => !node.hidden);
    const cut = lines.some((line) => line.scrollHeight > line.clientHeight + 2);
    attributes(news, { "data-open": open ? "" : null, "data-folded": folded ? "" : null });
    const bad = !$("problem").parentNode.hidden;
    const text = folded ? count(there.length, bad ? "problem" : "note")
      : open ? "Less" : there.length > 1 ? `${there.length - 1} more` : "More";
    put(more, { textContent: text, hidden: !there.length || !(folded || open || cut || there.length > 1) });
    attributes(more, { "aria-expanded": open, "data-bad": bad ? "" : null });
  }

  function set(now, away = false) {
    [open, folded, looks] = [now, away, 0];
    show();
  }

  more.addEventListener("click", () => set(folded || !open));
  new ResizeObserver(show).observe(stage);

  setInterval(() => {
    if (folded || document.hidden || said.every((node) => node.hidden)) return;
    looks = laysOver(news, $("view")) && !news.matches(":hover, :focus-within") ? looks + 1 : 0;
    if (looks >= SEEN[open]) set(false, true);
  }, LOOK);

  function update(state) {
    const now = JSON.stringify([saidOf(state), state.binTold]);
    if (now === known) return;
    known = now;
    set(open && said.some((node) => !node.hidden)); // what is new is seen
  }

  return { update };
}
