// What was painted: how it is sought, marked, compared, seen large and thrown away.
//
//   gallery    {sought, only, marked, wide}: words that are sought; all, favourites, or a kind of ending; the
//              ids of the marked; whether it covers the easel.
//   four       {group, open, seats}: whether those painted together lie over the easel, as a grid to choose from,
//              and their ids when it was opened: each keeps its place.
//   spread     how far a variation goes from its picture, 0 to 1.
//   pair       {what, first}: the first picture of two, until the other is chosen. `what` is done with them:
//              compare or evolve. A picture is {run, node}; node is null for the run as it is now.
//   versus     {first, second, way}: the comparison that is open, and how: slide, beside or onion.
//   large      {run, node}: the picture in the lightbox.
//   leaving    the ids of runs that were thrown away, until the server has them in its trash.
//   trash      what was thrown away, newest last: [{runs: [id], what}]; it can be brought back. `binTold`: whether
//              the newest is still told of.
//   binned     all that is in the trash, as the server told it, while that is looked at; null else.

const RECALLED = 20; // how often what was thrown away can be brought back

import { without } from "../common.js";

export const INITIAL = Object.freeze({
  gallery: { sought: "", only: "all", marked: [], wide: false },
  four: { group: "", open: false, seats: [] },
  spread: 0.4,
  pair: null,
  versus: null,
  large: null,
  leaving: [],
  trash: [],
  binTold: false,
  binned: null,
  explained: false, // whether it was read what can be done with four
});

export const keptOf = ({ trash, four, spread, explained }) => ({ trash, four, spread, explained });

export function begun(state, { trash = [], four = state.four, spread = state.spread, explained = false }) {
  return { ...state, trash, four: { ...state.four, ...four }, spread, explained };
}

const sifted = (state, told) => ({ ...state, gallery: { ...state.gallery, ...told } });

/** What these were thrown away with cannot be brought back any more. */
function kept(state, ids) {
  const left = state.trash.map((one) => ({ ...one, runs: one.runs.filter((id) => !ids.includes(id)) }));
  const told = state.binTold && left.at(-1)?.runs.length > 0;
  return { ...state, trash: left.filter((one) => one.runs.length), binTold: told, revision: state.revision + 1 };
}

export const REDUCERS = {
  /** Words, kind, or width of the gallery; what it does not show any longer is not marked. */
  sifted: (state, { type, ...told }) =>
    sifted(state, "wide" in told ? told : { ...told, marked: [] }),
  /** `runs` are marked in the gallery, in the order they were. */
  marked: (state, { runs }) => sifted(state, { marked: runs }),
  gridded(state, { group, open }) {
    const members = [...state.runs.values()].filter((run) => run.group === group);
    return { ...state, four: { group, open, seats: members.map(({ id }) => id) } };
  },
  spread: (state, { spread }) => ({ ...state, spread }),
  paired: (state, { pair }) => ({ ...state, pair }),
  /** Two pictures are compared, or null none any longer. */
  versus: (state, { versus }) => ({ ...state, pair: null, versus: versus && { way: "slide", ...versus } }),
  /** Another way to see the two. */
  turned: (state, { way }) => ({ ...state, versus: state.versus && { ...state.versus, way } }),
  enlarged: (state, { picture }) => ({ ...state, large: picture }),
  /** Name and favourite of a run, or of a point of its history. */
  edited(state, { run, node = null, values }) {
    const before = state.runs.get(run);
    if (!before) return state;
    const point = (one) => (one.node === node ? { ...one, ...values } : one);
    const now = node === null ? { ...before, ...values } : { ...before, nodes: before.nodes.map(point) };
    return { ...state, revision: state.revision + 1, runs: new Map(state.runs).set(run, now) };
  },
  /** Runs are thrown away: gone here, and soon on the server. */
  leaves(state, { runs, what }) {
    const marked = state.gallery.marked.filter((id) => !runs.includes(id));
    const trash = [...state.trash, { runs, what }].slice(-RECALLED);
    const leaving = [...state.leaving, ...runs];
    return { ...without(sifted(state, { marked }), runs), leaving, trash, binTold: true };
  },
  /** They are in the trash, but for those that `stay`. */
  left(state, { runs, stay }) {
    const leaving = state.leaving.filter((id) => !runs.includes(id));
    return kept({ ...state, leaving }, stay);
  },
  /** The newest of what was thrown away is back, or is not to be any longer. */
  recovered: (state) =>
    ({ ...state, trash: state.trash.slice(0, -1), binTold: false, revision: state.revision + 1 }),
  /** Something comes back, of which an older list of all runs does not know. */
  awaited: (state) => ({ ...state, revision: state.revision + 1 }),
  explained: (state) => ({ ...state, explained: true }),
  binned: (state, { runs }) => ({ ...state, binned: runs }),
  /** These are not in the trash any more. */
  unbinned: (state, { runs }) => kept(state, runs),
  binRead: (state) => ({ ...state, binTold: false }),
};
