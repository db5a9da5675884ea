// What the buttons and keys do, as far as the server takes part. What was written and drawn stays until
// the server has taken it, and what is done is done to the picture that is shown.

import { loadImage } from "./easel.js";
import { changed } from "./form.js";
import {
  brief, fromDrawing, newWords, nodeOf, nodeUrl, OPEN, pictureIsThere, placeOf, runOf, typedHere, wordsOf,
} from "./selectors.js";

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

export function makeActions({ store, server, easel, words, sync, doing }) {
  const { strokes, mask } = easel;
  const dispatch = (type, told = {}) => store.dispatch({ type, ...told });
  const note = (text) => dispatch("noticed", { note: text });
  const run = () => runOf(store.state);
  const place = () => placeOf(store.state);
  const node = () => nodeOf(store.state);
  const draft = () => store.state.draft;
  const upload = async (blob) => (await server.send("/api/images", await blob)).id;

  /** An action of a button: one at a time of its kind, and one for a double click. */
  function acting(kind, action) {
    const act = doing(action);
    return async (event) => {
      if (store.state.busy[kind] || event?.detail > 1) return;
      dispatch("busy", { kind, on: true });
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
    if (!pictureIsThere(store.state)) throw new Error("The picture is not there yet; try again.");
    if (!easel.hasPicture && strokes.empty) throw new Error("There is no picture yet.");
    if (node() !== null && strokes.empty) return place();
    const last = run()?.nodes.at(-1);
    if (run() && strokes.empty && last?.kind === "end") return `${run().id}/${last.node}`;
    return upload(easel.composite());
  }

  // Orders.

  /** Queues a run. `here`: it starts from the picture in the view. `uses`: the version of the strokes
   * that are in its start, null if none are. */
  async function order(extra, here, uses = null) {
    const asks = { prompt: draft().words, settings: changed(store.state), ...extra };
    const next = await server.post("/api/runs", asks);
    if (uses !== null && uses === strokes.version) easel.taken();
    dispatch("ordered", { run: next, here });
    easel.attend();
    await sync.refresh();
  }

  /** The version of the strokes that `seen()` and `composite()` take along now. */
  const drawn = () => (strokes.empty ? null : strokes.version);
  const likes = () => draft().likes.map(({ id, weight }) => ({ image: id, weight }));

  async function paint() {
    const { start } = draft();
    const given = { image: start?.id ?? null, image_prompts: likes() };
    if (!fromDrawing(store.state)) return order(given, !run() && start !== null);
    if (run()) return branch();
    const uses = drawn();
    return order({ ...given, image: await upload(easel.composite()) }, true, uses);
  }

  async function branch() {
    // A finished picture is drawn larger than it is painted.
    const { size: [w, h], scale } = run();
    const { width, height } = scale > 1 ? { width: w, height: h } : easel.view;
    const size = easel.hasPicture ? { size: `${width}x${height}` } : {};
    const settings = { ...size, ...changed(store.state) };
    const [parent, uses] = [place(), drawn()];
    const start = { image: await seen(), parent, image_prompts: likes() };
    await order({ ...start, settings }, true, uses);
  }

  async function repaint() {
    const prompt = draft().replace;
    if (!prompt.trim()) throw new Error("Say what it becomes.");
    const [parent, uses] = [place(), drawn()];
    const image = await seen();
    const edit = { settings: changed(store.state, true) };
    if (!mask.empty) edit.mask = await upload(easel.maskBlob());
    const { size, ...settings } = changed(store.state, false, false);
    await order({ prompt, image, edit, parent, settings }, true, uses);
  }

  async function find() {
    const { phrase } = draft();
    if (!phrase.trim()) throw new Error("Say what to look for.");
    dispatch("noticed", { mask: "Looks…" });
    try {
      const here = place();
      const found = await server.post("/api/masks", { image: await seen(), phrase });
      const image = await loadImage(`/api/images/${found.id}`);
      if (here !== place()) throw new Error("The mask was for another picture; find it again.");
      easel.setMask(image);
      const share = `Found: ${Math.round(100 * found.share)} % of the picture.`;
      dispatch("noticed", { mask: `${share} Mend it with Mask and Unmask.` });
    } catch (error) {
      dispatch("noticed", { mask: error.message });
    }
  }

  // A run under way.

  /** Lays the strokes over a paused run, once; the version that the server has, null if none. */
  async function layIn(id, status) {
    if (strokes.empty) return null;
    const { version } = strokes;
    const { sent } = store.state;
    if (sent?.run === id && sent.version === version) return version;
    try {
      await server.send(`/api/runs/${id}/draw`, await strokes.blob());
    } catch (error) {
      if (status === "interrupted" && error.status === 400) return null; // it takes none now
      throw error;
    }
    dispatch("sent", { sent: { run: id, version } });
    return version;
  }

  /** The strokes that `layIn` sent are in the picture now; later ones stay. */
  function laid(id, version) {
    dispatch("sent", { sent: null });
    if (version !== null && version === strokes.version) easel.taken(place() === id);
  }

  async function goOn(words) {
    const { id, status } = run();
    if (node() !== null && !strokes.empty) {
      dispatch("chosen", { run: id, node: null });
      return note("This is the paused picture, and your strokes lie over it now. Continue lays them in.");
    }
    const version = await layIn(id, status);
    const next = await server.post(`/api/runs/${id}/continue`, words ? { prompt: words } : {});
    laid(id, version);
    dispatch("answered", { run: id });
    if (run()?.id === id) dispatch("followed", { run: next, here: store.state.sheet.place === id });
    if (!strokes.empty) note("It paints on without your strokes. Pause it, and Continue lays them in.");
  }

  async function pause() {
    const { id, status } = run();
    if (OPEN.includes(status)) return goOn(typedHere(store.state) ? newWords(store.state) : null);
    await server.post(`/api/runs/${id}/pause`);
    dispatch("asked", { run: id, what: "Pauses" });
  }

  async function stop() {
    const { id, status } = run();
    const version = status === "paused" && node() === null ? await layIn(id, status) : null;
    await server.post(`/api/runs/${id}/stop`);
    laid(id, version);
    dispatch("asked", { run: id, what: "Stops" });
  }

  // What was painted before.

  async function reuse() {
    const told = await server.get(`/api/runs/${run().id}`);
    dispatch("filled", { settings: told.settings });
    words.retype(wordsOf(told));
    note("Words and settings are those of this picture.");
  }

  async function erase() {
    const doomed = run();
    const points = doomed.nodes.length === 1 ? "1 point" : `${doomed.nodes.length} points`;
    const what = `“${brief(wordsOf(doomed), 100)}” (${doomed.status}, ${points} of history)`;
    if (!confirm(`Delete ${what} for good?`)) return;
    await server.remove(`/api/runs/${doomed.id}`);
    dispatch("removed", { run: doomed.id });
    note(`Deleted: ${what}`);
    await sync.refresh();
  }

  const choose = doing((id, chosen = null) => {
    const one = store.state.runs.get(id);
    if (!one) return;
    const name = brief(one.prompt, 30);
    const { comparing } = store.state;
    if (comparing && chosen !== null) {
      dispatch("versus", { second: { url: nodeUrl(id, chosen), name: `${name} (${chosen})` } });
    } else if (comparing && one.picture) {
      dispatch("versus", { second: { url: `/api/runs/${id}/picture.png`, name } });
    } else if (chosen !== null) {
      dispatch("chosen", { run: id, node: chosen });
    } else dispatch("followed", { run: one });
  });

  function compare() {
    const first = { url: easel.view.toDataURL(), name: brief(run().prompt, 30) };
    dispatch("comparing", { first: store.state.comparing ? null : first });
  }

  const cancel = doing(async (id) => {
    await server.post(`/api/runs/${id}/cancel`);
    await sync.refresh();
  });

  return {
    choose,
    cancel,
    /** Pictures that were dropped, pasted or chosen: to start from, or to paint towards. */
    take: doing(async (files, towards) => {
      if (!files.length) return;
      const id = await upload(files[0]);
      const picture = { id, url: `/api/images/${id}`, weight: 1 };
      dispatch(towards ? "liked" : "started", { picture });
      const what = towards ? "Painting goes towards" : "Painting starts from";
      const rest = files.length > 1 ? ` The other ${files.length - 1} were not taken: one at a time.` : "";
      note(`${what} this picture.${rest}`);
    }),
    /** By the id of their button. */
    buttons: {
      paint: acting("order", paint),
      branch: acting("order", branch),
      repaint: acting("order", repaint),
      "new-sheet": doing(() => dispatch("newSheet")),
      find: acting("find", find),
      pause: acting("run", pause),
      "other-words": acting("run", () => goOn(typedHere(store.state) ? null : newWords(store.state))),
      stop: acting("run", stop),
      reuse: acting("reuse", reuse),
      delete: acting("delete", erase),
      undo: doing(() => easel.undo()),
      redo: doing(() => easel.redo()),
      clear: doing(() => easel.clear()),
      compare,
    },
  };
}
