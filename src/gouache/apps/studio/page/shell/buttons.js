// What the bar's buttons are called and whether they can be pressed: {id: {text, disabled, hidden}}.

import { aheadOf, ENDED, fromDrawing, GOING, gridOf, newWords, nodeOf, OPEN, runOf, typedHere } from "../selectors.js";

/** Whether the sheet is one's own, with the picture to start from on it: Paint starts from it. */
const startsSheet = (state) => !runOf(state) && Boolean(state.draft.start);

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
  // Two words for two things, everywhere: Paint new begins a picture, Go on paints the one that is shown further.
  const point = nodeOf(state) !== null;
  const onward = there && !drawn && point; // the first of the two to be pressed
  const unfinished = Boolean(run) && !point && (open || !ended); // Pause and Go on beside Stop are for it
  const waits = point ? 0 : aheadOf(state, run).length; // for pictures of one's own, which need not be first
  const further = drawn && run && !unfinished; // what was drawn on a picture goes on with it
  const paints = drawn
    ? further ? "Go on from this picture with what you drew" : run ? "Paint another picture from what you see and drew" : "Paint from your sketch"
    : there ? "Paint another picture from the words" : "Paint";
  return {
    paint: {
      text: `${further ? "Go on" : there && !startsSheet(state) ? "Paint new" : "Paint"}${times}`,
      title: `${paints} (Enter in the words, Ctrl Enter anywhere)`,
      className: onward ? "" : "main",
      disabled: ordering,
    },
    branch: {
      text: `Go on${times}`,
      className: onward ? "main" : "",
      disabled: ordering,
      hidden: !there || drawn || unfinished || several.length > 0 || startsSheet(state), // of several one is chosen first
    },
    pause: {
      text: `${open ? `Go on${point && !several.length ? " from its end" : ""}` : "Pause"}${all}${open && typed ? " with new words" : ""}`,
      disabled: !(open || going) || Boolean(busy.run),
    },
    "other-words": {
      text: typed ? "Go on with its own words" : "Go on with new words",
      hidden: newWords(state) === null || several.length > 0,
      disabled: Boolean(busy.run),
    },
    "paint-first": { hidden: !waits, disabled: Boolean(busy.run) },
    "stop-those": { text: waits > 1 ? "Stop those" : "Stop that one", hidden: !waits, disabled: Boolean(busy.run) },
    stop: { text: `Stop${all}`, disabled: ended || Boolean(busy.run) },
  };
}
