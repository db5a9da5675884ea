// What is done with what was painted before. A picture is {run, node}; node is null for the run as it is now.

import { brief, BUSY, ENDED, groupOf, isGridded, isSubject, isUnsent, runOf, wordsOf } from "../selectors.js";
import { isSeen, isWaiting, nodeIn, pictureUrl, pointOf, runOfPicture, shownPicture, shownSketch, titleOf, toldApart } from "./selectors.js";

const OTHER = {
  compare: "Now press the other picture. Esc ends it.",
  evolve: "Now press the one to cross it with. Esc ends it.",
};
const UNSENT = "What you wrote stays in the bar; Reuse settings brings this one's words.";
const SEEDS = 1e6; // to choose from
const ONE_AGAIN = { // by whether it is painted
  true: "You chose this one; the others are painted, too. Paint new makes one.",
  false: "You chose this one: Go on paints it further. Paint new makes one.",
};
const MANY = 4; // children of a variation or a crossing
const ASKS = 200; // how often it is asked whether a run has ended
const AGAIN = 100; // milliseconds between

const pause = () => new Promise((done) => setTimeout(done, AGAIN));

export function makeActions({ store, server, words, sync, doing, work, actions }) {
  const { acting, dispatch, draft, note, run } = work;
  const known = (id) => store.state.runs.get(id);
  let leaving = Promise.resolve(); // what is being thrown away

  const seenAs = (picture) => {
    const one = runOfPicture(store.state, picture);
    if (!isSeen(one, picture.node)) throw new Error("One of them has no picture yet.");
    return { ...picture, url: pictureUrl(one, picture.node) };
  };

  // Choosing, and pairs.

  /** Shows another run, `type` being the action, with its words and seed; words that were written stay. */
  function open(type, told, id = told.run.id) {
    const [other, unsent] = [!isSubject(store.state, id), isUnsent(store.state)];
    dispatch(type, told);
    if (!other) return;
    dispatch("brought", { run: id, words: !unsent });
    if (unsent && draft().words.trim() !== wordsOf(known(id)).trim()) note(`${store.state.notices.note} ${UNSENT}`.trim());
  }

  function show({ run: id, node }) {
    dispatch("sifted", { wide: false });
    if (node !== null) open("chosen", { run: id, node }, id);
    else open("followed", { run: known(id) });
  }

  async function pairUp(what, first, second) {
    if (what === "evolve") return evolve([first, second]);
    const [one, other] = [seenAs(first), seenAs(second)];
    const [name, otherName] = toldApart(store.state, first, second);
    return dispatch("versus", { versus: { first: { ...one, name }, second: { ...other, name: otherName } } });
  }

  const choose = doing(async (id, node = null) => {
    if (!known(id)) return;
    const picture = { run: id, node };
    const { pair } = store.state;
    if (!pair) return show(picture);
    dispatch("paired", { pair: null });
    dispatch("enlarged", { picture: null });
    if (!known(pair.first.run)) throw new Error("The first picture is gone; choose it again.");
    await pairUp(pair.what, pair.first, picture);
  });

  /** The first picture of a pair; the same once more ends it. */
  const pairWith = (what) => doing((picture = shownPicture(store.state)) => {
    if (!picture) throw new Error("There is no picture yet.");
    const again = store.state.pair?.what === what;
    dispatch("paired", { pair: again ? null : { what, first: picture } });
    if (!again) note(OTHER[what]);
  });
  const [compare, cross] = [pairWith("compare"), pairWith("evolve")];

  // Children of pictures.

  /** Orders children of pictures, in the words and settings of the first one. */
  async function descend(asks) {
    const settings = store.state.locked ? {} : { seed: Math.floor(Math.random() * SEEDS) };
    const next = await server.post("/api/runs", { count: MANY, settings, ...asks });
    dispatch("sifted", { wide: false });
    dispatch("enlarged", { picture: null });
    open("ordered", { run: next, here: false });
    await sync.refresh();
    dispatch("gridded", { group: next.group, open: true });
  }

  function pointOrError(picture) {
    const point = pointOf(runOfPicture(store.state, picture), picture.node);
    if (!point) throw new Error("This one is still being painted: stop it, or choose a point of its history.");
    return point;
  }

  async function vary(picture = shownPicture(store.state)) {
    const of = pointOrError(picture);
    await descend({ vary: { of, strength: store.state.spread } });
    note("Four variations of it are painted.");
  }

  async function evolve(pictures) {
    const of = pictures.map(pointOrError);
    if (of[0] === of[1]) throw new Error("That is the same picture twice; choose another one.");
    await descend({ evolve: { of } });
    note("Four children of both are painted.");
  }

  const sketch = doing(async (id, number) => {
    await server.post(`/api/runs/${id}/sketch`, { number });
  });

  /** One of several is gone on with, as it is shown: while it begins that is one of its beginnings. */
  async function single(id) {
    const [one, number] = [known(id), shownSketch(known(id))];
    open("followed", { run: one }); // first: the grid that is closed is that of what is shown
    dispatch("gridded", { group: one.group, open: false });
    if (store.state.count > 1) {
      dispatch("chose", { count: 1 }); // there is one to go on with now
      note(ONE_AGAIN[BUSY.includes(one.status)]);
    }
    if (number === null) return;
    await server.post(`/api/runs/${id}/sketch`, { number }).catch((error) => {
      if (error.status !== 400) throw error; // it is painted already
    });
  }

  // Names and favourites.

  const edit = doing(async ({ run: id, node }, values) => {
    dispatch("edited", { run: id, node, values });
    const place = node === null ? `/api/runs/${id}` : `/api/runs/${id}/nodes/${node}`;
    try {
      await server.patch(place, values);
    } catch (error) {
      await sync.refresh();
      throw error;
    }
  });

  function like(picture) {
    const one = known(picture.run);
    if (!one) return null;
    const before = picture.node === null ? one : nodeIn(one, picture.node);
    return edit(picture, { favourite: !before.favourite });
  }

  // Throwing away, and bringing back.

  async function stop(id) {
    await server.post(`/api/runs/${id}/stop`).catch((error) => {
      if (error.status !== 400) throw error; // it has ended meanwhile
    });
  }

  /** Stops what is under way, and waits until it has ended. */
  async function ended({ id, status: before }) {
    if (ENDED.includes(before)) return;
    await stop(id);
    for (let k = 0; k < ASKS; k += 1) {
      const { status } = await server.get(`/api/runs/${id}`);
      if (ENDED.includes(status)) return;
      await pause();
    }
    throw new Error("It is still being painted; try again in a moment.");
  }

  /** Brings runs that have left the page into the server's trash. */
  async function remove(doomed) {
    const left = doomed.map(({ id }) => id);
    const stay = new Set(left);
    try {
      for (const one of doomed) {
        await ended(one);
        await server.remove(`/api/runs/${one.id}`);
        stay.delete(one.id);
      }
    } finally {
      dispatch("left", { runs: left, stay: [...stay] });
      if (store.state.binned) await openTrash();
      await sync.refresh();
    }
  }

  /** Throws away at once what is seen of runs; the server, which ends them first, follows. */
  function discard(ids) {
    const doomed = ids.map(known).filter(Boolean);
    if (!doomed.length) return;
    // Of those that are painted together another one is shown, not an empty sheet.
    const next = isGridded(store.state) && groupOf(store.state).find((one) => !ids.includes(one.id));
    if (next && ids.includes(run().id)) dispatch("followed", { run: next });
    const what = doomed.length === 1 ? `“${brief(titleOf(doomed[0]), 60)}”` : `${doomed.length} pictures`;
    dispatch("leaves", { runs: doomed.map(({ id }) => id), what });
    leaving = leaving.then(() => remove(doomed)).catch((error) => dispatch("noticed", { problem: error.message }));
  }

  /** All runs anew, with what is back again: it takes its place before it is no longer what can come back. */
  async function reread() {
    dispatch("awaited");
    await sync.refresh();
  }

  async function restore() {
    await leaving;
    const last = store.state.trash.at(-1);
    if (!last) return;
    let problem = null;
    for (const id of last.runs) {
      await server.post(`/api/runs/${id}/restore`).catch((error) => (problem = error));
    }
    await reread();
    dispatch("recovered");
    const back = last.runs.map(known).filter(Boolean);
    if (back.length && !runOf(store.state)) open("followed", { run: back[0] });
    if (problem) throw problem;
    note(`Back again: ${last.what}.`);
  }

  /** What was deleted, newest first, as the server has it now. */
  async function openTrash(on = true) {
    const { runs = null } = on ? await server.get("/api/trash") : {};
    dispatch("binned", { runs: runs && runs.sort((a, b) => b.until - a.until) });
  }

  async function bringBack(id) {
    await leaving;
    await server.post(`/api/runs/${id}/restore`);
    await reread();
    dispatch("unbinned", { runs: [id] });
    if (store.state.binned) await openTrash();
    note(`Back again: “${brief(titleOf(known(id)), 60)}”.`);
  }

  async function emptyTrash() {
    const ids = store.state.binned.map(({ id }) => id);
    for (const id of ids) await server.remove(`/api/runs/${id}?forever=true`); // what is seen, and nothing else
    dispatch("unbinned", { runs: ids });
    await openTrash();
  }

  async function reuse() {
    const told = await server.get(`/api/runs/${run().id}`);
    dispatch("filled", { settings: told.settings });
    if (told.film) dispatch("refilmed", told.film);
    words.retype(wordsOf(told));
    note("Words and settings are those of this picture.");
  }

  const cancel = doing(async (id) => {
    await server.post(`/api/runs/${id}/cancel`);
    await sync.refresh();
  });

  /** The four over the easel, or the one that is shown large. */
  const grid = (open) => {
    const [{ group }] = groupOf(store.state);
    if (open) dispatch("chosen", { run: run().id, node: null });
    dispatch("gridded", { group, open });
  };

  const marked = () => store.state.gallery.marked.map((id) => ({ run: id, node: null }));

  return {
    choose,
    cancel,
    compare,
    cross,
    edit,
    grid,
    like,
    sketch,
    /** A picture to compare with another, or the other one of a pair, whatever is done with both; the same ends it. */
    withThis: (picture) => {
      const { pair } = store.state;
      if (!pair) return compare(picture);
      if (pair.first.run !== picture.run) return choose(picture.run, picture.node);
      return dispatch("paired", { pair: null });
    },
    /** A picture to evolve with another, or the other one. */
    evolveWith: (picture) => (store.state.pair?.what === "evolve" ? choose(picture.run, picture.node) : cross(picture)),
    vary: acting("order", vary),
    discard: doing(discard),
    stopOne: doing(stop),
    openTrash: doing(openTrash),
    bringBack: acting("restore", bringBack),
    emptyTrash: acting("trash", emptyTrash),
    /** A picture large on the easel, and no grid over it. */
    pick: doing((id, node = null) => {
      if (!known(id)) return null;
      if (store.state.pair || node !== null) return choose(id, node);
      if (known(id).group) return single(id);
      return open("followed", { run: known(id) });
    }),
    large: doing((picture) => {
      if (picture && !isSeen(runOfPicture(store.state, picture), picture.node)) throw new Error("It has no picture yet.");
      dispatch("enlarged", { picture });
    }),
    /** By the id of their button. */
    buttons: {
      reuse: acting("reuse", reuse),
      delete: acting("delete", () => discard([run().id])),
      compare: () => compare(),
      evolve: () => cross(),
      vary: acting("order", () => vary()),
      four: () => grid(true),
      restore: acting("restore", restore),
      undelete: acting("restore", restore),
      "go-on-here": (event) => actions.buttons[isWaiting(store.state) ? "pause" : "branch"](event),
      "gallery-compare": () => compare(),
      "marked-compare": doing(() => (marked().length === 1 ? compare(marked()[0]) : pairUp("compare", ...marked()))),
      "marked-evolve": acting("order", () => evolve(marked())),
      "marked-delete": acting("delete", () => discard(store.state.gallery.marked)),
    },
  };
}
