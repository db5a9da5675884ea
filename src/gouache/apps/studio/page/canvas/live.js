// Strokes on a picture that is being painted: they go to the server when the hand rests, without a pause, and stay
// in sight until a picture with them has come.

import { nodeOf, runOf } from "../selectors.js";

const REST = 600; // milliseconds without a stroke until what was drawn is sent

export function mount({ store, server, easel }) {
  let timer;
  let drawn = ""; // the strokes that the timer waits for
  let refused = ""; // those that the server did not take: they wait for Continue or Paint
  let away = null; // {run, drawings}: strokes on their way, and how many the history had before

  const count = (run) => run.nodes.filter(({ kind }) => kind === "drawn").length;

  async function send(run) {
    if (easel.drawing || away) return wait();
    const blob = easel.send();
    away = { run: run.id, drawings: count(run) };
    try {
      await server.send(`/api/runs/${run.id}/draw`, await blob);
      arrived(store.state);
    } catch (error) {
      land(false);
      refused = easel.strokes.version;
      store.dispatch({ type: "noticed", problem: error.message });
    }
    return undefined;
  }

  function land(well) {
    away = null;
    easel.land(well);
  }

  /** Whether the picture has the strokes that were sent. */
  function arrived(state) {
    const run = state.runs.get(away?.run);
    if (!run || count(run) > away.drawings) land(true);
    else if (!["painting", "starting", "paused"].includes(run.status)) land(true);
  }

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const run = live(store.state);
      if (run && !easel.strokes.empty) send(run);
    }, REST);
  }

  /** The run that takes strokes while it is painted, if it is the one that is seen. Strokes that Continue or Stop
   * takes along are not sent once more. */
  function live(state) {
    const run = runOf(state);
    return run?.status === "painting" && run.kind !== "film" && !state.busy.run && nodeOf(state) === null && state.sheet.place === run.id ? run : null;
  }

  function update(state) {
    if (away) arrived(state);
    const { empty, version } = state.layers.strokes;
    if (!live(state) || empty || version === refused) {
      clearTimeout(timer);
      drawn = "";
    } else if (version !== drawn) {
      drawn = version;
      wait();
    }
  }

  return { update };
}
