// What is asked for: words, settings and pictures; and how the page is laid out.
//
//   draft      what was written or given and not sent: it outlives a reload (draft.js). `known`: the words that
//              were sent last, or came with a picture. `start` is the picture to
//              start from: {id, url, width, height, from, fit, x, y, mask}, where `from` is the picture as it was
//              given, and `fit` how it was brought to the sheet's shape: "" for as it is, crop, fit or extend.
//   form       the settings' fields (values.js). parsed: the prompt's parts, of the words they belong to.
//   locked     whether the seed stays; else each order throws the dice. count: pictures of an order.
//   near       how strongly a painting stays near the drawing or picture it starts from, 0 (free) to 1.
//   panel      which panel is open: tune, layers, change, history, gallery, or "" for none.
//   fitting    whether the picture to start from was given just now, and asks how it fits.

import { blank, drafted, EMPTY, newSheet } from "../common.js";
import { changed, filled, sheetSize, withValue } from "../values.js";
import { ENDED, OPEN, promptOf, runOf, shownWords, wordsOf } from "../selectors.js";

export const INITIAL = Object.freeze({
  // `typedFor`: the run in whose pause the words were written. likes: [{key, id, url, weight}]
  draft: { words: "", known: "", phrase: "", replace: "", typedFor: "", start: null, likes: [] },
  form: {},
  parsed: { words: "", stages: [], error: "" },
  locked: false,
  count: 1,
  near: 0.6, // at which what was drawn is still seen in the end
  panel: "",
  fitting: false,
});

export function keptOf(state) {
  const { draft, locked, count, near, panel } = state;
  const settings = { ...changed(state), ...changed(state, true) };
  return { ...draft, settings, run: state.shown?.run ?? "", locked, count, near, panel };
}

export function begun(state, { locked = false, count = 1, near = state.near, panel = state.panel }) {
  return { ...state, locked, count, near, panel };
}

/** Words were written: for the run that is shown, if it can take them. */
function written(state, words) {
  const run = runOf(state);
  return drafted(state, { words, typedFor: run && OPEN.includes(run.status) ? run.id : "" });
}

/** The form changed: an empty sheet follows its size. */
function formed(state, form) {
  const next = form === state.form ? state : { ...state, form };
  if (runOf(next) || next.sheet.picture) return next;
  const [width, height] = sheetSize(form);
  const now = next.sheet.blank;
  if (now?.width === width && now.height === height) return next;
  return { ...next, sheet: blank(width, height, EMPTY, next.sheet.start) };
}

/** The prompt's parts, changed by hand; a stage without parts goes. */
function parted(state, stages) {
  const left = stages.filter((parts) => parts.length);
  const words = promptOf(left);
  return { ...written(state, words), parsed: { words, stages: left, error: "" } };
}

const partly = (stages, stage, change) => stages.map((parts, at) => (at === stage ? change(parts) : parts));

export const REDUCERS = {
  wrote: (state, { field, text }) =>
    field === "words" ? written(state, text) : drafted(state, { [field]: text }),
  parsed: (state, { words, stages = [], error = "" }) =>
    words === state.draft.words ? { ...state, parsed: { words, stages, error } } : state,
  /** A number or the place of a chip: `key` is weight, stop or place. */
  weighed(state, { stage, part, key, value }) {
    const one = (now, at) => (at === part ? { ...now, [key]: value } : now);
    return parted(state, partly(state.parsed.stages, stage, (parts) => parts.map(one)));
  },
  /** A chip is taken away. */
  unsaid: (state, { stage, part }) =>
    parted(state, partly(state.parsed.stages, stage, (parts) => parts.filter((_, at) => at !== part))),
  /** A field of the form; `done`: it is not being typed any longer. Who writes a seed wants that one. */
  set(state, { name, value, done = false }) {
    const form = state.form[name] === value ? state.form : withValue(state.info, state.form, name, value);
    const next = name === "seed" && !state.locked ? { ...state, locked: true } : state;
    if (done || name === "perceptor") return formed(next, form);
    return form === state.form ? next : { ...next, form };
  },
  /** The dice were thrown. */
  rolled: (state, { seed }) => ({ ...state, form: withValue(state.info, state.form, "seed", String(seed)) }),
  /** Another run is shown: its seed is that of the bar unless that is locked, and its words are, if `words`. */
  brought(state, { run, words }) {
    const found = state.runs.get(run);
    if (!found) return state;
    const known = state.shown?.run === run ? (shownWords(state) ?? state.draft.words) : wordsOf(found);
    const next = words ? drafted(state, { words: known, known, typedFor: "" }) : state;
    if (state.locked || found.seed === undefined) return next;
    return { ...next, form: withValue(state.info, state.form, "seed", String(found.seed)) };
  },
  /** What an order or a run had. */
  filled(state, { settings }) {
    const locked = state.locked || "seed" in settings;
    return formed({ ...state, locked }, filled(state.info, state.form, settings));
  },
  /** What is chosen in the bar: locked, count, near, fitting. */
  chose: (state, { type, ...told }) => ({ ...state, ...told }),
  /** A picture to start from was given, brought to another shape, or taken away. */
  started(state, { picture, fitting = false }) {
    const next = { ...drafted(state, { start: picture }), fitting };
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
