// What the bar's buttons are called and whether they can be pressed: {id: {text, disabled, hidden}}.

import { ENDED, fromDrawing, GOING, gridOf, isDrawn, newWords, OPEN, runOf, typedHere } from "../selectors.js";

export function buttonsOf(state) {
  const { busy, ready, sheet } = state;
  const run = runOf(state);
  const several = gridOf(state); // then one button is for all
  const seen = several.length ? several : run ? [run] : [];
  const ended = seen.every(({ status }) => ENDED.includes(status));
  const going = seen.some(({ status }) => GOING.includes(status));
  const open = !going && seen.some(({ status }) => OPEN.includes(status));
  const all = several.length ? " all" : "";
  const ordering = Boolean(busy.order) || !ready;
  const typed = typedHere(state);
  const times = state.count > 1 ? ` ×${state.count}` : ""; // both paint as many as are chosen
  return {
    paint: {
      text: `Paint${times}`,
      title: `${fromDrawing(state) ? (run ? "Paint from what you drew" : "Paint from your sketch") : "Paint"} (Enter in the words, Ctrl Enter anywhere)`,
      disabled: ordering,
    },
    branch: { text: `Paint on${times}`, disabled: ordering, hidden: !(sheet.picture || isDrawn(state) || run) },
    pause: {
      text: `${open ? "Continue" : "Pause"}${all}${open && typed ? " with new words" : ""}`,
      disabled: !(open || going) || Boolean(busy.run),
    },
    "other-words": {
      text: typed ? "Continue with its own words" : "Continue with new words",
      hidden: newWords(state) === null || several.length > 0,
      disabled: Boolean(busy.run),
    },
    stop: { text: `Stop${all}`, disabled: ended || Boolean(busy.run) },
  };
}
