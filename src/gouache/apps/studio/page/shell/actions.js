// What the bar does: paint, pause, go on, stop; and what is done with files.

import { changed, sheetSize } from "../values.js";
import { aheadOf, ENDED, fromDrawing, GOING, gridOf, newWords, OPEN, typedHere } from "../selectors.js";
import { drawnAsUsual, shapedLike, sizeText } from "./choices.js";

const OTHER = /no gouache settings/; // what the server says of pictures that are not ours
const JSON_FILE = /\.json$/i;

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

export function makeActions({ store, server, easel, doing, words, work, sync }) {
  const { acting, dispatch, draft, drawn, likes, node, note, order, place, run, seen, upload } = work;
  const { strokes } = easel;

  let fitting = Promise.resolve(); // ways to fit, one after the other: what was asked last is what is seen

  /** How near an order stays to the drawing or picture that it starts from. */
  const nearness = () => (store.state.near ? { near: store.state.near } : {});
  const together = () => (store.state.count > 1 ? { count: store.state.count } : {});

  async function paint() {
    const { start } = draft();
    const settings = drawnAsUsual(store.state, changed(store.state));
    const given = { image: start?.id ?? null, image_prompts: likes(), settings, ...together() };
    // Of a picture that was extended the new parts are painted, and the rest stays.
    if (start?.mask) given.edit = { mask: start.mask, settings: changed(store.state, true) };
    else if (start) Object.assign(given, nearness());
    if (!fromDrawing(store.state)) return order(given, !run() && start !== null);
    if (run()) return branch();
    const uses = drawn();
    const { edit, ...others } = given;
    return order({ ...others, image: await upload(easel.composite()), ...nearness() }, true, uses);
  }

  async function branch() {
    // A finished picture is drawn larger than it is painted.
    const painted = run(); // null where it was deleted elsewhere
    const [width, height] = painted?.scale > 1 ? painted.size : [easel.view.width, easel.view.height];
    const size = easel.hasPicture ? { size: `${width}x${height}`, scale: String(painted?.scale ?? 1) } : {};
    const settings = { ...size, ...changed(store.state) };
    const [parent, uses] = [place(), drawn()];
    const start = { image: await seen(), parent, image_prompts: likes(), ...together() };
    await order({ ...start, ...(uses === null ? {} : nearness()), settings }, true, uses);
  }

  /** Lays the strokes over a paused run, once; the version that the server has, null if none. */
  async function layIn(id, status) {
    if (strokes.empty) return null;
    const { version } = strokes;
    const { sent } = store.state;
    if (sent?.run === id && sent.version === version) return version;
    try {
      await server.lay(id, await strokes.blob(), store.state.near);
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
      return note("This is the paused picture, and your strokes lie over it now. Go on lays them in.");
    }
    const version = await layIn(id, status);
    const next = await server.post(`/api/runs/${id}/continue`, words ? { prompt: words } : {});
    laid(id, version);
    dispatch("answered", { run: id });
    if (run()?.id === id) dispatch("followed", { run: next, here: store.state.sheet.place === id });
    if (!strokes.empty) note("It paints on without your strokes. Pause it, and Go on lays them in.");
  }

  /** Asks the same of several that are painted together. */
  async function askEach(runs, what, body) {
    await Promise.all(runs.map(({ id }) => server.post(`/api/runs/${id}/${what}`, body).catch((error) => {
      if (error.status !== 400) throw error; // it has ended meanwhile
    })));
    await sync.refresh();
  }

  /** Pauses all that are seen, or goes on with them. */
  async function pauseAll(runs) {
    const going = runs.filter(({ status }) => GOING.includes(status));
    if (going.length) return askEach(going, "pause");
    const words = typedHere(store.state) ? newWords(store.state) : null;
    return askEach(runs.filter(({ status }) => OPEN.includes(status)), "continue", words ? { prompt: words } : {});
  }

  async function pause() {
    const several = gridOf(store.state);
    if (several.length) return pauseAll(several);
    const { id, status } = run();
    if (OPEN.includes(status)) return goOn(typedHere(store.state) ? newWords(store.state) : null);
    await server.post(`/api/runs/${id}/pause`);
    dispatch("asked", { run: id, what: "Pauses" });
  }

  async function stop() {
    const several = gridOf(store.state);
    if (several.length) {
      dispatch("asked", { run: run().id, what: "Stops" });
      return askEach(several.filter(({ status }) => !ENDED.includes(status)), "stop");
    }
    const { id, status } = run();
    const version = status === "paused" && node() === null ? await layIn(id, status) : null;
    await server.post(`/api/runs/${id}/stop`);
    laid(id, version);
    dispatch("asked", { run: id, what: "Stops" });
  }

  /** Others let the shown run pass, and go on by themselves after it. */
  async function paintFirst() {
    await server.post(`/api/runs/${run().id}/first`).catch((error) => {
      if (error.status !== 400) throw error; // its turn has come
    });
    await sync.refresh();
  }

  // Files.

  /** Words and settings of a picture of ours or of a file of settings; false for another picture. */
  async function readOurs(file) {
    let told;
    try {
      told = await server.send("/api/read", file);
    } catch (error) {
      if (OTHER.test(error.message) && !JSON_FILE.test(file.name)) return false;
      throw error;
    }
    const { prompt, settings, notes } = told;
    dispatch("filled", { settings });
    words.retype(prompt);
    note(["Words and settings are those of this picture.", ...notes.map(sentence)].join(" "));
    return true;
  }

  async function startFrom(file) {
    const picture = await server.send("/api/images", file);
    const { id, width, height } = picture;
    dispatch("started", { picture: { id, width, height, from: id, fit: "", url: `/api/images/${id}` }, fitting: true });
  }

  /** Brings the picture to start from to the sheet's shape, in a way that is chosen: crop, fit, extend, or "" for as
   * it is, the sheet taking its shape. (x, y) is what of it a crop shows, 0 to 1. */
  async function fit({ way, x = 0.5, y = 0.5 }) {
    const { start } = draft();
    if (!start) return;
    const { from } = start;
    const before = start.whole ?? { width: start.width, height: start.height };
    if (!way) {
      const size = sizeText(shapedLike(store.state, before));
      dispatch("set", { name: "size", value: size, done: true });
      const picture = { ...before, id: from, from, fit: "own", url: `/api/images/${from}` };
      return dispatch("started", { picture, fitting: true });
    }
    const [width, height] = sheetSize(store.state.form);
    const query = new URLSearchParams({ fit: way, size: `${width}x${height}`, x, y });
    const { id, mask = null } = await server.send(`/api/uploads?${query}`, await server.blob(`/api/images/${from}`));
    const picture = { id, mask, width, height, from, fit: way, x, y, whole: before, url: `/api/images/${id}` };
    if (draft().start?.from === from) dispatch("started", { picture, fitting: true });
  }

  return {
    /** Files that were dropped, pasted or chosen. `purpose`: "start" from it, paint towards it ("like"), or "any":
     * a picture of ours gives its words and settings, another one is started from. */
    take: doing(async (files, purpose) => {
      if (!files.length) return;
      const [file, ...others] = files;
      if (purpose === "like") {
        const id = await upload(file);
        dispatch("liked", { picture: { id, url: `/api/images/${id}`, weight: 1 } });
        note("Painting goes towards this picture.");
      } else if (purpose === "start" || !(await readOurs(file))) await startFrom(file);
      if (!others.length) return;
      note(`${store.state.notices.note} The other ${others.length} were not taken: one at a time.`.trim());
    }),
    fit: doing((asked) => (fitting = fitting.catch(() => {}).then(() => fit(asked)))),
    /** One of the examples is painted. */
    example: acting("order", async (prompt) => {
      words.retype(prompt);
      await paint();
    }),
    /** By the id of their button. */
    buttons: {
      paint: acting("order", paint),
      branch: acting("order", branch),
      pause: acting("run", pause),
      "other-words": acting("run", () => goOn(typedHere(store.state) ? null : newWords(store.state))),
      "paint-first": acting("run", paintFirst),
      "stop-those": acting("run", () => askEach(aheadOf(store.state, run()), "stop")),
      stop: acting("run", stop),
    },
  };
}
