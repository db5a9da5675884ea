// What the bar's buttons are called and whether they can be pressed: {id: {text, disabled, hidden}}.

import { ENDED, fromDrawing, isDrawn, newWords, OPEN, runOf, typedHere } from "../selectors.js";

export function buttonsOf(state) {
  const { busy, ready, sheet } = state;
  const run = runOf(state);
  const ended = Boolean(run && ENDED.includes(run.status));
  const open = Boolean(run && OPEN.includes(run.status));
  const going = Boolean(run && ["painting", "starting"].includes(run.status));
  const ordering = Boolean(busy.order) || !ready;
  const typed = typedHere(state);
  return {
    paint: {
      title: `${fromDrawing(state) ? (run ? "Paint from what you drew" : "Paint from your sketch") : "Paint"} (Enter in the words, Ctrl Enter anywhere)`,
      disabled: ordering,
    },
    branch: { disabled: ordering, hidden: !(sheet.picture || isDrawn(state) || run) },
    pause: {
      text: open ? (typed ? "Continue with new words" : "Continue") : "Pause",
      disabled: !(open || going) || Boolean(busy.run),
    },
    "other-words": {
      text: typed ? "Continue with its own words" : "Continue with new words",
      hidden: newWords(state) === null,
      disabled: Boolean(busy.run),
    },
    stop: { disabled: !run || ended || Boolean(busy.run) },
  };
}
