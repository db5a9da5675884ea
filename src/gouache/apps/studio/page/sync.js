// Keeps the state in line with the server: the events of the runs that are watched, the losses of one
// that has ended, and now and then the list of all.

import { BUSY, ENDED, runOf, watched } from "./selectors.js";

const LOOK = 1500; // milliseconds between two looks at all runs

export function mount({ store, server, easel }) {
  const eyes = []; // who else wants to see frames
  let heard = []; // the runs that the stream tells of
  let end = () => {}; // ends the listening to them
  let recalled = ""; // the run whose losses were asked for
  let refreshing = null;

  /** Looks at all runs, once at a time. */
  function refresh() {
    refreshing ??= list().finally(() => (refreshing = null));
    return refreshing;
  }

  async function list() {
    let runs;
    let before;
    do {
      before = store.state.revision; // an older list does not know of the newest order or end
      ({ runs } = await server.get("/api/runs"));
    } while (before !== store.state.revision);
    store.dispatch({ type: "listed", runs });
  }

  const look = () => refresh().catch(() => {}); // the page tells already that nobody answers

  async function recall(run) {
    try {
      const { losses } = await server.get(`/api/runs/${run}`);
      store.dispatch({ type: "recalled", run, losses });
    } catch (error) {
      store.dispatch({ type: "noticed", problem: error.message });
    }
  }

  function start() {
    let ticks = 0;
    setInterval(() => {
      const { runs, notices } = store.state;
      const active = [...runs.values()].some((run) => BUSY.includes(run.status));
      ticks += 1;
      if (active || !notices.alive || ticks % 8 === 0) look();
    }, LOOK);
  }

  function listen(wanted) {
    if (wanted.length && wanted.length === heard.length && wanted.every((run) => heard.includes(run))) return;
    end();
    heard = wanted;
    end = wanted.length ? server.watch(wanted, { news, frame, lost: look }) : () => {};
  }

  function news(told) {
    // Of one that has ended the stream tells no more.
    if (ENDED.includes(told.status)) heard = heard.filter((run) => run !== told.id);
    store.dispatch({ type: "news", told });
  }

  function frame({ run, ...told }) {
    if (runOf(store.state)?.id === run) easel.frame(run, told);
    for (const see of eyes) see(run, told);
  }

  function update(state) {
    listen(watched(state));
    const run = runOf(state);
    const missing = run && ENDED.includes(run.status) && !state.losses[run.id] ? run.id : "";
    if (missing && missing !== recalled) recall(missing);
    recalled = missing;
  }

  return { refresh, look, start, update, see: (eye) => eyes.push(eye) };
}
