// The one store of the page: all that the page knows, and the only way to change it.
//
//   server, hand, keys --dispatch(action)--> reduce(state, action) --> update(state) of each module
//
// - `reduce` is pure: no page, no server, no clock. A state is never changed, only followed by another;
//   parts that did not change stay the same objects, so that a module can compare with ===.
// - A module exports `mount(page)`: it finds its nodes, listens to them, and returns {update(state)},
//   which brings the nodes in line with the state, in place (nodes.js): a node that is still wanted stays
//   the same node, with its focus, selection and half a click. Modules know the store, not each other.
//   What else a module remembers (a timer, a stream, a stroke under way) lives in its mount, not beside it.
// - Actions that need the server are in actions.js; they dispatch what came of it. Streams and
//   requests that follow from the state (whose events to hear, which picture to fetch) are modules like
//   others: sync.js and easel.js bring them in line on update.
// - Pixels are not state: canvases hold them (easel.js), and the state what is known of them: which
//   picture is in the view, and of each layer its version and whether it is empty.
// - What can be computed is not kept: selectors.js.
//
// The shape, and where it is meant to grow:
//   runs       id -> run as the server told it last, in the order they were made. News goes to its own
//              run, shown or not, so that several can be shown and followed at once: then `watched`
//              names more of them, and `losses` are kept by run already.
//   shown      {run, node}: what is on the easel, null for a sheet of one's own. Several pictures at
//              once are several of these.
//   sheet      what the view holds. `blank`, new each time, is a sheet to begin with;
//              {place, key, frame} of the picture since; `start`, the picture given to start from.
//   layers     name -> {version, empty}; undo {past, future}: counts. More layers are more names.
//   hand       tool, colour and size; more of a brush (hardness, opacity) belongs here.
//   draft      what was written or given and not sent: it outlives a reload (draft.js).
//   form       the settings' fields (form.js). parsed: the prompt's parts, of the words they belong to.
//   busy, asked, sent, comparing, versus, notices: what is under way, and what is said of it. Which panels
//              are open, zoom and place of the canvas would be such parts too, beside these.

import { defaults, filled, sheetSize, withValue } from "./form.js";
import {
  BUSY, ENDED, OPEN, promptOf, runOf, watched, wantedPicture, wordsOf,
} from "./selectors.js";

const EMPTY = "An empty sheet. Write a few words and press Paint, or draw here: Paint starts from it.";
const LIES_OVER = "What you drew lies over this picture now. Undo or Clear takes it away.";
const DELETED = "This picture was deleted elsewhere; what you see of it can still be painted on.";

export const INITIAL = Object.freeze({
  ready: false, // whether the server has told what it can
  info: null,
  runs: new Map(),
  revision: 0, // counts what makes an older list of runs wrong
  losses: {}, // by run; those of an ended run are not there until they were asked for
  shown: null,
  sheet: { blank: null, picture: false, place: "", key: "", frame: null, start: null },
  layers: { strokes: { version: 0, empty: true }, mask: { version: 0, empty: true } },
  undo: { past: 0, future: 0 },
  hand: { tool: "brush", color: "#d8432b", size: 28 },
  // `typedFor`: the run in whose pause the words were written. likes: [{key, id, url, weight}]
  draft: { words: "", phrase: "", replace: "", typedFor: "", start: null, likes: [] },
  form: {},
  parsed: { words: "", stages: [], error: "" },
  busy: {}, // kind of action -> true while one is under way
  asked: null, // {run, what}: pause or stop, until it happens
  sent: null, // {run, version}: strokes that the server has, though the picture has not yet
  comparing: null, // {url, name}: the first of two pictures
  versus: null, // {first, second}: what the comparison shows
  notices: { alive: true, problem: "", note: "", mask: null },
});

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const noticed = (state, told) => ({ ...state, notices: { ...state.notices, ...told } });
const drafted = (state, told) => ({ ...state, draft: { ...state.draft, ...told } });
const blank = (width, height, words, start = null) =>
  ({ ...INITIAL.sheet, blank: { width, height, words }, start });

function withRun(state, run) {
  const before = state.runs.get(run.id);
  const ends = before && !ENDED.includes(before.status) && ENDED.includes(run.status);
  return { ...state, revision: state.revision + (ends ? 1 : 0), runs: new Map(state.runs).set(run.id, run) };
}

/** A sheet without a run: empty, or with the picture to start from. */
function newSheet(state) {
  const sheet = blank(...sheetSize(state.form), EMPTY, state.draft.start);
  return { ...state, shown: null, sheet };
}

/** Shows a run; `here`: the picture in the view is where it goes on from, and stays until there is news. */
function follow(state, run, here = false) {
  const other = state.shown?.run !== run.id;
  let next = { ...withRun(state, run), shown: { run: run.id, node: null } };
  if (other) {
    const { [run.id]: _, ...losses } = state.losses;
    next.losses = losses;
  }
  if (here) {
    next.sheet = { ...state.sheet, start: null, place: run.id, key: wantedPicture(next)?.key ?? "" };
    return next;
  }
  if (!other) return { ...next, sheet: { ...state.sheet, place: "", key: "" } };
  const words = ENDED.includes(run.status) ? "Nothing was painted." : "Nothing is painted yet.";
  next.sheet = blank(...run.size, words);
  const { strokes, mask } = state.layers;
  if (!(strokes.empty && mask.empty)) next = noticed(next, { note: LIES_OVER });
  return next;
}

/** Words were written: for the run that is shown, if it can take them. */
function written(state, words) {
  const run = runOf(state);
  return drafted(state, { words, typedFor: run && OPEN.includes(run.status) ? run.id : "" });
}

const REDUCERS = {
  /** The server has told what it can, and `kept` is what an earlier load of this page left. */
  begun(state, { info, kept }) {
    const likes = (kept.likes ?? []).map((one, key) => ({ ...one, key }));
    const { phrase = "", replace = "", typedFor = "", start = null } = kept;
    const runs = [...state.runs.values()];
    const last = (...statuses) => runs.findLast((one) => statuses.includes(one.status));
    const newest = kept.run === "" ? null : state.runs.get(kept.run)
      ?? last("starting", "painting") ?? last("paused") ?? last("queued") ?? runs.at(-1);
    const words = state.draft.words || (kept.words ?? (newest ? wordsOf(newest) : ""));
    const form = filled(info, defaults(info), kept.settings ?? {});
    const draft = { words, phrase, replace, typedFor, start, likes };
    const next = { ...state, ready: true, info, form, draft };
    return newest ? follow(next, newest) : newSheet(next);
  },

  // What the server tells.
  reached: (state, { alive }) => noticed(state, { alive }),
  /** All runs. Of those that are watched the events tell more, and earlier. */
  listed(state, { runs }) {
    const own = watched(state);
    const kept = runs.map((one) => (own.includes(one.id) ? state.runs.get(one.id) : one));
    const before = runOf(state);
    const next = { ...state, runs: new Map(kept.map((one) => [one.id, one])) };
    if (!before) return next;
    const found = runOf(next);
    if (!found) return noticed({ ...next, shown: null }, { note: DELETED });
    // Nobody tells of an ended run: it may go on in another window, or after a restart.
    if (!ENDED.includes(before.status) || ENDED.includes(found.status)) return next;
    return follow(next, found, state.shown.node === null && state.sheet.place === found.id);
  },
  /** The news of one run, whether it is shown or not. */
  news(state, { told: { losses, losses_from: from, ...run } }) {
    const before = state.runs.get(run.id);
    if (!before) return state; // it was deleted
    const next = withRun(state, run);
    const all = [...(state.losses[run.id] ?? []).slice(0, from), ...losses];
    next.losses = { ...state.losses, [run.id]: all };
    // Another server counts anew.
    if (run.version < before.version && state.shown?.run === run.id) next.sheet = { ...state.sheet, key: "" };
    return next;
  },
  recalled: (state, { run, losses }) => ({ ...state, losses: { ...state.losses, [run]: losses } }),
  removed(state, { run }) {
    const runs = new Map(state.runs);
    runs.delete(run);
    const next = { ...state, runs, revision: state.revision + 1 };
    return state.shown?.run === run ? newSheet(next) : next;
  },

  // What is shown.
  followed: (state, { run, here }) => follow(state, run, here),
  /** A run was ordered, and is shown. */
  ordered: (state, { run, here }) =>
    follow({ ...drafted(state, { typedFor: "" }), revision: state.revision + 1 }, run, here),
  /** A node of the history, or null for the run itself, the picture in the view staying till then. */
  chosen(state, { run, node }) {
    const known = state.runs.get(run);
    if (!known) return state;
    const next = state.shown?.run === run ? state : follow(state, known);
    const sheet = node === null ? next.sheet : { ...next.sheet, key: "" };
    return { ...next, shown: { run, node }, sheet };
  },
  newSheet,
  /** The view holds a picture, or holds that it cannot be shown. */
  pictured: (state, { place, key, frame, picture = true }) =>
    ({ ...state, sheet: { ...state.sheet, place, key, frame, picture } }),
  comparing: (state, { first }) => ({ ...state, comparing: first }),
  versus: (state, { second }) =>
    ({ ...state, comparing: null, versus: second && { first: state.comparing, second } }),

  // What the hand does.
  held: (state, { type, ...told }) => ({ ...state, hand: { ...state.hand, ...told } }),
  drawn(state, { layers, undo, picture }) {
    const sheet = state.sheet.picture === picture ? state.sheet : { ...state.sheet, picture };
    const known = same([layers, undo], [state.layers, state.undo]);
    if (known) return sheet === state.sheet ? state : { ...state, sheet };
    return { ...state, sheet, layers, undo };
  },
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

  // What is under way.
  busy: (state, { kind, on }) => ({ ...state, busy: { ...state.busy, [kind]: on } }),
  asked: (state, { run, what }) => ({ ...state, asked: { run, what } }),
  sent: (state, { sent }) => ({ ...state, sent }),
  answered: (state, { run }) =>
    state.draft.typedFor === run ? drafted(state, { typedFor: "" }) : state,
  noticed: (state, { type, ...told }) =>
    Object.keys(told).every((name) => state.notices[name] === told[name]) ? state : noticed(state, told),
};

/** What was asked of a run, or sent to it, is over when its status says so. */
function settled(state) {
  const status = (one) => state.runs.get(one?.run)?.status;
  const [asked, sent] = [status(state.asked), status(state.sent)];
  let next = state;
  if (asked && !BUSY.includes(asked)) next = { ...next, asked: null };
  if (sent && sent !== "paused") next = { ...next, sent: null };
  return next;
}

export function reduce(state, action) {
  const reducer = REDUCERS[action.type];
  if (!reducer) throw new Error(`unknown action: ${action.type}`);
  return settled(reducer(state, action));
}

export class Store {
  constructor(state = INITIAL) {
    this.state = state;
    this.modules = [];
    this.updating = false;
  }

  /** Adds a module: {update(state)}. */
  mount(module) {
    this.modules.push(module);
    module.update(this.state);
    return module;
  }

  /** The state is the next one when this returns. The modules are too, unless one of them asks: then
   * all are updated once more when this round is over. */
  dispatch(action) {
    const next = reduce(this.state, action);
    if (next === this.state) return;
    this.state = next;
    if (this.updating) return;
    this.updating = true;
    try {
      for (let told = null; told !== this.state; ) {
        told = this.state;
        for (const module of this.modules) module.update(told);
      }
    } finally {
      this.updating = false;
    }
  }
}
