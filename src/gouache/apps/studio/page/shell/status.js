// What is said on the easel: how it goes, what went wrong, what was ignored; progress; and the losses.

import { $, attributes, put } from "../nodes.js";
import { clock, GOING, gridOf, nodeOf, OPEN, runOf, slowestOf, statusLine, stepOf } from "../selectors.js";
import { makeCountdown } from "./countdown.js";

const SILENT = "The studio does not answer. What you wrote and drew stays here; this page keeps trying.";
/** A note for who knows the page and not its settings. */
function inPlainWords(note) {
  return note
    .replace(/; layout off takes the words as a whole$/, " (as one thing: Fine tuning, layout off)")
    .replace(/^two things, each in its half: /, "Each thing has its half of the picture: ")
    .replace(/^photo does not know (.*); pocket guides there alone$/, "Known only roughly: $1");
}

/** The run as far as it is shown: at a point of its history it is as it was there. */
function shownPoint(state, run) {
  const point = run.nodes.find(({ node }) => node === nodeOf(state));
  return point ? { ...run, status: "stopped", step: point.step } : run;
}

export function mount({ store }) {
  let plotted = null;
  const countdown = makeCountdown();

  for (const name of ["problem", "note"]) {
    $(`${name}-read`).addEventListener("click", () => {
      store.dispatch({ type: "noticed", [name]: "" });
      $("stage").focus({ preventScroll: true });
    });
  }

  let ignored = ""; // what was said of a run, and has been read
  let warned = "";
  $("warnings-read").addEventListener("click", () => {
    ignored = warned;
    put($("warnings").parentNode, { hidden: true });
    $("stage").focus({ preventScroll: true });
  });

  /** What was ignored or changed of a run, until it is read. */
  function warn(run) {
    warned = run?.notes?.length ? `${run.group || run.id} ${run.notes.join(" · ")}` : "";
    put($("warnings"), { textContent: run?.notes?.map(inPlainWords).join(" · ") ?? "" });
    put($("warnings").parentNode, { hidden: !warned || warned === ignored });
  }

  function say({ notices }) {
    put($("connection"), { textContent: notices.alive ? "" : SILENT });
    for (const name of ["problem", "note"]) {
      put($(name), { textContent: notices[name] });
      put($(name).parentNode, { hidden: !notices[name] });
    }
  }

  /** Something moves from the first moment; what is done till there is a picture the status tells. */
  function wait(state, run) {
    const here = run && nodeOf(state) === null && run.status === "starting";
    const shown = Boolean(state.busy.order || here) && !state.sheet.picture;
    put($("skeleton"), { hidden: !shown });
  }

  /** How far a run is, and how long it still takes. */
  function timeOf(run) {
    const counts = GOING.includes(run.status);
    const what = run.group || run.id;
    const { left, longer } = countdown(what, counts ? (run.seconds_left ?? null) : null, performance.now() / 1000);
    return [stepOf(run), clock(left) && clock(left) + (longer ? ", longer than thought" : "")].filter(Boolean).join(" · ");
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
    put($("clock"), { textContent: going ? timeOf(there) : "" });
    warn(run);
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
