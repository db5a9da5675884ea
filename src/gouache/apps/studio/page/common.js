// What all parts of the page share: the runs, what is shown of them, and what is under way.
//
//   runs       id -> run as the server told it last, in the order they were made. News goes to its own
//              run, shown or not; `losses` are kept by run.
//   shown      {run, node}: what is on the easel, null for a sheet of one's own.
//   sheet      what the view holds. `blank`, new each time, is a sheet to begin with;
//              {place, key, frame} of the picture since; `start`, the picture given to start from.
//   subject    counts the sheets of one's own that were on the easel: masks belong to what they were made on
//              (subjectOf).
//   busy, asked, sent, notices: what is under way, and what is said of it.

import { defaults, filled, sheetSize } from "./values.js";
import { BUSY, ENDED, isSubject, isUnsent, runOf, shownWords, watched, wantedPicture, wordsOf } from "./selectors.js";

export const EMPTY = "An empty sheet. Write a few words and press Paint, or draw here: Paint starts from it.";
const LIES_OVER = "What you drew lies over this picture now. Undo or Clear takes it away.";
const DELETED = "This picture was deleted elsewhere; Go on still paints from what you see of it.";

const SHEET = Object.freeze({ blank: null, picture: false, place: "", key: "", frame: null, start: null });

export const INITIAL = Object.freeze({
  ready: false, // whether the server has told what it can
  info: null,
  runs: new Map(),
  revision: 0, // counts what makes an older list of runs wrong
  losses: {}, // by run; those of an ended run are not there until they were asked for
  shown: null,
  sheet: SHEET,
  subject: 0,
  busy: {}, // kind of action -> true while one is under way
  asked: null, // {run, what}: pause or stop, until it happens
  sent: null, // {run, version}: strokes that the server has, though the picture has not yet
  notices: { alive: true, problem: "", note: "", mask: null, read: [] }, // `read`: warnings that were (notes.js)
});

/** A sheet of one's own is the same after a reload, and what was read stays read. */
export const keptOf = ({ subject, notices }) => ({ subject, read: notices.read });

export const noticed = (state, told) => ({ ...state, notices: { ...state.notices, ...told } });
export const drafted = (state, told) => ({ ...state, draft: { ...state.draft, ...told } });
export const blank = (width, height, words, start = null) =>
  ({ ...SHEET, blank: { width, height, words }, start });

function withRun(state, run) {
  const before = state.runs.get(run.id);
  const ends = before && !ENDED.includes(before.status) && ENDED.includes(run.status);
  return { ...state, revision: state.revision + (ends ? 1 : 0), runs: new Map(state.runs).set(run.id, run) };
}

/** The words in the bar follow the picture that came on the easel, unless there `were` others that were not sent. */
function worded(state, were) {
  const words = were ? null : shownWords(state);
  return words === null || words === state.draft.words ? state : drafted(state, { words, known: words, typedFor: "" });
}

/** A sheet without a run: empty, or with the picture to start from. */
export function newSheet(state) {
  const sheet = blank(...sheetSize(state.form), EMPTY, state.draft.start);
  return { ...noticed(state, { mask: null }), subject: state.subject + 1, shown: null, sheet };
}

/** Shows a run; `here`: the picture in the view is where it goes on from, and stays until there is news.
 */
export function follow(state, run, here = false) {
  const other = state.shown?.run !== run.id;
  const kept = isSubject(state, run.id) ? state : noticed(state, { mask: null });
  let next = { ...withRun(kept, run), shown: { run: run.id, node: null } };
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
  if (!state.layers.strokes.empty) next = noticed(next, { note: LIES_OVER });
  return next;
}

/** As if these runs had never been. */
export function without(state, ids) {
  const runs = new Map(state.runs);
  for (const id of ids) runs.delete(id);
  const next = { ...state, runs, revision: state.revision + 1 };
  return ids.includes(state.shown?.run) ? newSheet(next) : next;
}

export const REDUCERS = {
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
    const known = kept.known ?? (newest ? wordsOf(newest) : "");
    const draft = { words, known, phrase, replace, typedFor, start, likes };
    const next = { ...noticed(state, { read: kept.read ?? [] }), ready: true, info, form, draft };
    return { ...(newest ? follow(next, newest) : newSheet(next)), subject: kept.subject ?? 0 };
  },

  // What the server tells.
  reached: (state, { alive }) => noticed(state, { alive }),
  /** All runs. Of those that are watched the events tell more, and earlier. */
  listed(state, { runs: all }) {
    const own = watched(state);
    const runs = all.filter((one) => !state.leaving.includes(one.id)); // the server may still have them
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

  // What is shown.
  followed: (state, { run, here }) => worded(follow(state, run, here), isUnsent(state)),
  /** A run was ordered, and is shown; `words`: what was sent. */
  ordered(state, { run, here, words = "" }) {
    const known = words === state.draft.words ? words : state.draft.known;
    return follow({ ...drafted(state, { typedFor: "", known }), revision: state.revision + 1 }, run, here);
  },
  /** A node of the history, or null for the run itself, the picture in the view staying till then. */
  chosen(state, { run, node }) {
    const known = state.runs.get(run);
    if (!known) return state;
    const next = state.shown?.run === run ? state : follow(state, known);
    const sheet = node === null ? next.sheet : { ...next.sheet, key: "" };
    return worded({ ...next, shown: { run, node }, sheet }, isUnsent(state));
  },
  newSheet,

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
export function settled(state) {
  const status = (one) => state.runs.get(one?.run)?.status;
  const [asked, sent] = [status(state.asked), status(state.sent)];
  let next = state;
  if (asked && !BUSY.includes(asked)) next = { ...next, asked: null };
  if (sent && sent !== "paused") next = { ...next, sent: null };
  return next;
}
