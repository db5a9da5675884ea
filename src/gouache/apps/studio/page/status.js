// What state a run is in, in words.

export const ENDED = ["done", "stopped", "failed", "cancelled", "interrupted"];
export const OPEN = ["paused", "interrupted"]; // what can go on
export const BUSY = ["queued", "starting", "painting"];

export function clock(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  return `${Math.ceil(seconds / 60)} min left`;
}

/** The state of the picture in a line. `drawn`: there are strokes; `asked`: {run, what}, what is to happen
 * to it. */
export function statusLine(run, selected, drawn, asked) {
  if (!run) return drawn ? "Paint starts from what you drew." : "Say what to paint.";
  if (selected) return "A point of the history. Paint on from this picture to branch from it.";
  if (asked.run === run.id && BUSY.includes(run.status)) return `${asked.what} after this step…`;
  return {
    queued: run.position ? `Waits; number ${run.position} in the queue.` : "Waits.",
    starting: "Loads the models and finds a start…",
    painting: drawn
      ? "Paints. Pause it, and Continue lays your strokes in."
      : "Paints. Pause it to paint on it yourself.",
    paused: drawn
      ? "Paused. Continue or Stop lays your strokes in."
      : "Paused. Draw on it, change the words, and continue.",
    interrupted: "The studio ended in the middle of this one. Continue paints on from its last step.",
    done: drawn ? "Done. Your strokes are not in it: Paint starts from them." : "Done. It is in the gallery.",
    stopped: drawn
      ? "Stopped; the picture is kept. Your strokes are not in it: Paint starts from them."
      : "Stopped; the picture is kept.",
    cancelled: "Cancelled. Reuse settings brings its words back.",
    failed: `It failed: ${run.error}`,
  }[run.status] ?? run.status;
}
