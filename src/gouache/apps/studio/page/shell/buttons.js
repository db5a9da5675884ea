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
  // Two words for two things, everywhere: Paint new begins a picture, Go on paints the one that is shown further. Each
  // has its place, always; what is painted shows Pause in that of Go on.
  const point = nodeOf(state) !== null;
  const unfinished = Boolean(run) && !point && (open || !ended); // Pause, which is Go on then, and Stop are for it
  const waits = point ? 0 : aheadOf(state, run).length; // for pictures of one's own, which need not be first
  const further = drawn && run && !unfinished; // what was drawn on a picture goes on with it
  const onward = further || (there && !drawn && point); // the first of the two to be pressed
  const none = several.length ? "Press one of them first: Go on paints that one further"
    : unfinished ? "It waits its turn, and begins by itself"
    : !there || startsSheet(state) || (drawn && !run) ? "There is no picture yet: Paint begins one" : "";
  const paints = drawn
    ? run ? "Paint another picture from what you see and drew" : "Paint from your sketch"
    : there ? "Paint another picture from the words" : "Paint";
  return {
    paint: {
      text: `${there && !startsSheet(state) ? "Paint new" : "Paint"}${times}`,
      title: `${paints} (Enter in the words, Ctrl Enter anywhere)`,
      className: onward && !none ? "" : "main",
      disabled: ordering,
    },
    branch: {
      text: `Go on${times}`,
      className: onward && !none ? "main" : "",
      title: none || (further ? "Go on from this picture with what you drew, as a branch"
        : "Go on: this picture is painted further, as a branch of its history; it stays as it is itself"),
      disabled: ordering || Boolean(none),
      hidden: unfinished && (going || open), // Pause is there
    },
    pause: {
      text: `${open ? `Go on${point && !several.length ? " from its end" : ""}` : "Pause"}${all}${open && typed ? " with new words" : ""}`,
      className: point && !several.length ? "beside" : "",
      disabled: !(open || going) || Boolean(busy.run),
      hidden: !(open || going),
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
