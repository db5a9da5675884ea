// Strokes on a picture that is being painted: they go to the server when the hand rests, without a pause, and stay
// in sight until a picture with them has come.

import { nodeOf, runOf } from "../selectors.js";

const REST = 1500; // milliseconds without a stroke until what was drawn is sent: time to look at it, and to undo it
const TAKEN = "Your strokes are in the picture now, and the words go on from them; “Near my drawing” says how much of their colours stays. Layers has them still.";
const LATE = "What you undid was in the picture a moment before; paint over it.";

export function mount({ store, server, easel }) {
  let timer;
  let drawn = ""; // the strokes that the timer waits for
  let refused = ""; // those that the server did not take: they wait for Go on or Paint
  let away = null; // {run, drawings, sent}: strokes on their way, how many the history had before, and the request
  let told = false; // whether it was said what becomes of strokes

  const count = (run) => run.nodes.filter(({ kind }) => kind === "drawn").length;

  async function send(run) {
    if (easel.drawing || away) return wait();
    const drawings = count(run);
    const mine = { run: run.id, drawings, sent: easel.send().then((blob) => server.lay(run.id, blob, store.state.near)) };
    away = mine;
    try {
      await mine.sent;
      if (away === mine) arrived(store.state);
    } catch (error) {
      if (away !== mine || mine.back) return undefined; // they were called back
      land(false);
      refused = easel.strokes.version;
      store.dispatch({ type: "noticed", problem: error.message });
    }
    return undefined;
  }

  function land(well) {
    away = null;
    easel.land(well);
    if (!well || told) return;
    told = true;
    store.dispatch({ type: "noticed", note: TAKEN });
  }

  /** Undo has reached strokes that are on their way: they are on the sheet again, and not to be laid. */
  easel.callBack = async () => {
    const mine = Object.assign(away, { back: true });
    easel.takeBack();
    try {
      await mine.sent;
    } catch {
      away = null;
      return; // the server has none of them
    }
    try {
      await server.post(`/api/runs/${mine.run}/undraw`);
    } catch (error) {
      store.dispatch({ type: "noticed", note: error.status === 400 ? LATE : error.message });
    }
    away = null;
  };

  /** Whether the picture has the strokes that were sent. */
  function arrived(state) {
    if (away.back) return;
    const run = state.runs.get(away.run);
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

  /** The run that takes strokes while it is painted, if it is the one that is seen. Strokes that Go on or Stop
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
