// What is said on the easel: how it goes, what went wrong, what was ignored; progress; and the losses.

import { $, attributes, put } from "../nodes.js";
import { clock, GOING, gridOf, nodeOf, OPEN, runOf, slowestOf, span, statusLine, stepOf, waitOf } from "../selectors.js";
import { makeCountdown } from "./countdown.js";
import { readingOf, saidOf } from "./notes.js";

const SILENT = "The studio does not answer. What you wrote and drew stays here; this page keeps trying.";
const SAID = ["problem", "warnings", "note"]; // the ids of their lines

/** The run as far as it is shown: at a point of its history it is as it was there. */
function shownPoint(state, run) {
  const point = run.nodes.find(({ node }) => node === nodeOf(state));
  return point ? { ...run, status: "stopped", step: point.step } : run;
}

export function mount({ store }) {
  let plotted = null;
  const countdown = makeCountdown();

  for (const name of SAID) {
    $(`${name}-read`).addEventListener("click", () => {
      store.dispatch({ type: "noticed", ...readingOf(store.state, name) });
      $("stage").focus({ preventScroll: true });
    });
  }

  /** How much room it takes on the easel: news.js. */
  function say(state) {
    put($("connection"), { textContent: state.notices.alive ? "" : SILENT });
    for (const [name, text] of Object.entries(saidOf(state))) {
      put($(name), { textContent: text });
      put($(name).parentNode, { hidden: !text });
    }
  }

  /** From the first moment on the sheet says what is done till there is a picture. */
  function wait(state, run) {
    const here = run && nodeOf(state) === null && run.status === "starting";
    const shown = Boolean(state.busy.order || here) && !state.sheet.picture;
    put($("skeleton"), { hidden: !shown });
    put($("loading"), { textContent: shown ? statusLine(state) : "" });
  }

  /** How far a run is, and how long it still takes. */
  function timeOf(run) {
    const counts = GOING.includes(run.status);
    const what = run.group || run.id;
    const { left, longer } = countdown(what, counts ? (run.seconds_left ?? null) : null, performance.now() / 1000);
    return [stepOf(run), clock(left) && clock(left) + (longer ? ", longer than thought" : "")].filter(Boolean).join(" · ");
  }

  /** How long a run waits for others. */
  function waitTime(state, run) {
    const { left: told, more } = waitOf(state, run);
    const { left } = countdown(`before ${run.id}`, told, performance.now() / 1000);
    return left === null ? "" : `${more ? "more than " : ""}${span(left)}`;
  }

  const shareOf = (run) => (run.num_steps ? run.step / run.num_steps : 0);

  function update(state) {
    const run = runOf(state);
    say(state);
    wait(state, run);
    put(document.body.dataset, { status: run?.status ?? "" });
    const does = run && OPEN.includes(run.status) ? "play" : "pause";
    attributes($("pause").querySelector("use"), { href: `/page/icons.svg#${does}` });
    put($("status"), { textContent: statusLine(state) });
    const there = run && shownPoint(state, slowestOf(state));
    const going = there && (there.status !== "done" || there.film); // a finished picture's steps tell nothing
    const several = gridOf(state);
    const shares = (several.length ? several : there ? [there] : []).map(shareOf);
    put($("progress"), { value: shares.reduce((sum, one) => sum + one, 0) / (shares.length || 1), hidden: !going });
    put($("clock"), { textContent: !going ? "" : there.status === "queued" ? waitTime(state, there) : timeOf(there) });
    const losses = state.losses[run?.id] ?? [];
    if (losses !== plotted) plot($("plot"), losses);
    plotted = losses;
  }

  return { update };
}

function plot(canvas, losses) {
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  if (losses.length < 2) return;
  const low = Math.min(...losses);
  const high = Math.max(...losses);
  const y = (loss) => 14 + ((high - loss) / (high - low || 1)) * (height - 22);
  const style = getComputedStyle(canvas);
  pen.strokeStyle = style.getPropertyValue("--red");
  pen.fillStyle = style.getPropertyValue("--soft");
  pen.lineWidth = 2;
  pen.beginPath();
  losses.forEach((loss, k) => pen.lineTo((k / (losses.length - 1)) * (width - 2) + 1, y(loss)));
  pen.stroke();
  pen.font = "13px system-ui, sans-serif";
  pen.fillText(`loss ${losses.at(-1).toFixed(3)} after ${losses.length} steps`, 4, 12);
}
