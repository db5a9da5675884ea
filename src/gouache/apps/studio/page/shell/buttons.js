// What the bar's buttons are called and whether they can be pressed: {id: {text, disabled, hidden}}.

import { ENDED, fromDrawing, GOING, gridOf, newWords, nodeOf, OPEN, runOf, typedHere } from "../selectors.js";

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
  const [drawn, there] = [fromDrawing(state), Boolean(sheet.picture || run)];
  // One of the two is the first to be pressed. Where Paint starts from what was drawn the other would do the same.
  const onward = there && !drawn && nodeOf(state) !== null;
  const paints = drawn ? (run ? "Paint from what you drew" : "Paint from your sketch")
    : there ? "Paint another picture from the words" : "Paint";
  return {
    paint: {
      text: `Paint${times}`,
      title: `${paints} (Enter in the words, Ctrl Enter anywhere)`,
      className: onward ? "" : "main",
      disabled: ordering,
    },
    branch: { text: `Paint on${times}`, className: onward ? "main" : "", disabled: ordering, hidden: !there || drawn },
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
