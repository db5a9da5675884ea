// What the actions of all parts of the page have in common: how they are run, what is seen, and orders.
// What was written and drawn stays until the server has taken it, and what is done is done to the picture that
// is shown. The actions themselves: shell/actions.js, canvas/actions.js, past/actions.js.

import { changed } from "./values.js";
import { nodeOf, pictureIsThere, placeOf, runOf } from "./selectors.js";

const SEEDS = 1e6; // to throw the dice among; others can be written

/** Runs actions: what goes wrong is said in one line, and nothing is lost. */
export function makeDoing({ store, easel }) {
  return (action) => async (...values) => {
    if (!store.state.ready) return;
    easel.tell(); // with a stroke that is under way
    store.dispatch({ type: "noticed", problem: "", note: "" });
    try {
      await action(...values);
    } catch (error) {
      store.dispatch({ type: "noticed", problem: error.message });
    }
  };
}

/** What actions are made of; each part of the page gets it to make its own. */
export function makeWork({ store, server, easel, sync, doing }) {
  const { strokes } = easel;
  const dispatch = (type, told = {}) => store.dispatch({ type, ...told });
  const note = (text) => dispatch("noticed", { note: text });
  const run = () => runOf(store.state);
  const place = () => placeOf(store.state);
  const node = () => nodeOf(store.state);
  const draft = () => store.state.draft;
  const upload = async (blob) => (await server.send("/api/images", await blob)).id;

  /** Another seed. */
  const roll = () => dispatch("rolled", { seed: Math.floor(Math.random() * SEEDS) });

  /** An action of a button: one at a time of its kind, and one for a double click. */
  function acting(kind, action) {
    const act = doing(action);
    return async (event) => {
      if (store.state.busy[kind] || event?.detail > 1) return;
      dispatch("busy", { kind, on: true });
      if (kind === "order" && !store.state.locked) roll();
      try {
        await act(event);
      } finally {
        dispatch("busy", { kind, on: false });
      }
    };
  }

  /** What stands for the picture as it is seen: a node of the history if nothing was drawn. */
  async function seen() {
    if (!pictureIsThere(store.state)) await easel.look();
    await easel.exact();
    if (!pictureIsThere(store.state)) throw new Error("The picture is not there yet; try again.");
    if (!easel.hasPicture && strokes.empty) throw new Error("There is no picture yet.");
    if (node() !== null && strokes.empty) return place();
    const last = run()?.nodes.at(-1);
    if (run() && strokes.empty && last?.kind === "end") return `${run().id}/${last.node}`;
    return upload(easel.composite());
  }

  /** Queues a run. `here`: it starts from the picture in the view. `uses`: the version of the strokes
   * that are in its start, null if none are. `part`: what it is a try on, as `tried` has it, without tries; of such
   * there may be several, all told as `extra`, and the first is shown. */
  async function order(extra, here, uses = null, part = null) {
    const all = [extra].flat().map((one) => ({ prompt: draft().words, settings: changed(store.state), ...one }));
    const made = [];
    let refused = null; // what was taken before counts
    for (const asks of all) {
      try {
        made.push({ asks, next: await server.post("/api/runs", asks) });
      } catch (error) {
        if (!made.length) throw error;
        refused ??= error;
      }
    }
    const [{ asks, next }] = made;
    if (uses !== null && uses === strokes.version) easel.taken();
    if (part) {
      const tries = made.flatMap(({ asks: { prompt: words }, next: run }) => (run.runs ?? [run]).map(({ id }) =>
        ({ id, words, version: part.mask?.version ?? null, masked: part.mask !== null, own: false })));
      dispatch("tried", { ...part, tries }); // first: what is ordered is of the picture that is shown
    }
    dispatch("ordered", { run: next, here, words: asks.prompt });
    easel.focus();
    await sync.refresh();
    if (refused) throw refused;
  }

  /** The version of the strokes that `seen()` and `composite()` take along now. */
  const drawn = () => (strokes.empty ? null : strokes.version);
  const likes = () => draft().likes.map(({ id, weight }) => ({ image: id, weight }));

  return { acting, dispatch, draft, drawn, likes, node, note, order, place, roll, run, seen, upload };
}
