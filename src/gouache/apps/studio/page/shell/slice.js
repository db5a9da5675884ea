// What is asked for: words, settings and pictures; and how the page is laid out.
//
//   draft      what was written or given and not sent: it outlives a reload (draft.js).
//   form       the settings' fields (form.js). parsed: the prompt's parts, of the words they belong to.
//   panel      which panel is open: tune, layers, change, history, gallery, or "" for none.

import { blank, drafted, EMPTY, newSheet } from "../common.js";
import { changed, filled, sheetSize, withValue } from "../form.js";
import { ENDED, OPEN, promptOf, runOf } from "../selectors.js";

export const INITIAL = Object.freeze({
  // `typedFor`: the run in whose pause the words were written. likes: [{key, id, url, weight}]
  draft: { words: "", phrase: "", replace: "", typedFor: "", start: null, likes: [] },
  form: {},
  parsed: { words: "", stages: [], error: "" },
  panel: "",
});

/** Words were written: for the run that is shown, if it can take them. */
function written(state, words) {
  const run = runOf(state);
  return drafted(state, { words, typedFor: run && OPEN.includes(run.status) ? run.id : "" });
}

export const keptOf = (state) => ({
  ...state.draft,
  settings: { ...changed(state), ...changed(state, true) },
  run: state.shown?.run ?? "",
  panel: state.panel,
});

export function begun(state, { panel = state.panel }) {
  return { ...state, panel };
}

export const REDUCERS = {
  wrote: (state, { field, text }) =>
    field === "words" ? written(state, text) : drafted(state, { [field]: text }),
  parsed: (state, { words, stages = [], error = "" }) =>
    words === state.draft.words ? { ...state, parsed: { words, stages, error } } : state,
  /** A number of a chip: `key` is weight or stop. */
  weighed(state, { stage, part, key, value }) {
    const one = (now, at) => (at === part ? { ...now, [key]: value } : now);
    const stages = state.parsed.stages.map((parts, at) => (at === stage ? parts.map(one) : parts));
    const words = promptOf(stages);
    return { ...written(state, words), parsed: { words, stages, error: "" } };
  },
  /** A field of the form; `done`: it is not being typed any longer. */
  set(state, { name, value, done = false }) {
    const form = state.form[name] === value ? state.form : withValue(state.info, state.form, name, value);
    const next = form === state.form ? state : { ...state, form };
    if (!(done || name === "perceptor") || runOf(next) || next.sheet.picture) return next;
    const [width, height] = sheetSize(form);
    const now = next.sheet.blank;
    if (now?.width === width && now.height === height) return next;
    return { ...next, sheet: blank(width, height, EMPTY, next.sheet.start) };
  },
  filled: (state, { settings }) => ({ ...state, form: filled(state.info, state.form, settings) }),
  /** A picture to start from was given, or taken away. */
  started(state, { picture }) {
    const next = drafted(state, { start: picture });
    const run = runOf(state);
    return !run || (picture && ENDED.includes(run.status)) ? newSheet(next) : next;
  },
  liked(state, { picture }) {
    const { likes } = state.draft;
    return drafted(state, { likes: [...likes, { ...picture, key: (likes.at(-1)?.key ?? -1) + 1 }] });
  },
  /** Another weight of a picture to paint towards; null takes it away. */
  likedMore(state, { key, weight }) {
    const one = (like) => (like.key === key ? { ...like, weight } : like);
    return drafted(state, { likes: state.draft.likes.map(one).filter((like) => like.weight !== null) });
  },
  /** A panel is opened; "" folds them all. */
  unfolded: (state, { panel }) => (state.panel === panel ? state : { ...state, panel }),
};
