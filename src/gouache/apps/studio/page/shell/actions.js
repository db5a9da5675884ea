// What the bar does: paint, pause, go on, stop; and what is done with files.

import { fromDrawing, newWords, OPEN, runOf, typedHere } from "../selectors.js";
import { changed } from "../form.js";

export function makeActions({ store, server, easel, doing, work }) {
  const { acting, dispatch, draft, drawn, likes, node, note, order, place, run, seen, upload } = work;
  const { strokes } = easel;

  async function paint() {
    const { start } = draft();
    const given = { image: start?.id ?? null, image_prompts: likes() };
    if (!fromDrawing(store.state)) return order(given, !run() && start !== null);
    if (run()) return branch();
    const uses = drawn();
    return order({ ...given, image: await upload(easel.composite()) }, true, uses);
  }

  async function branch() {
    const { width, height } = easel.view;
    const size = easel.hasPicture ? { size: `${width}x${height}` } : {};
    const settings = { ...size, ...changed(store.state) };
    const [parent, uses] = [place(), drawn()];
    const start = { image: await seen(), parent, image_prompts: likes() };
    await order({ ...start, settings }, true, uses);
  }

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

  return {
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
      pause: acting("run", pause),
      "other-words": acting("run", () => goOn(typedHere(store.state) ? null : newWords(store.state))),
      stop: acting("run", stop),
    },
  };
}
