// What is said on the easel: how it goes, what went wrong, what was ignored; progress; and the losses.

import { $, put } from "../nodes.js";
import { clock, runOf, statusLine } from "../selectors.js";

const SILENT = "The studio does not answer. What you wrote and drew stays here; this page keeps trying.";

export function mount() {
  let plotted = null;

  function say({ notices }) {
    put($("connection"), { textContent: notices.alive ? "" : SILENT });
    put($("problem"), { textContent: notices.problem });
    put($("note"), { textContent: notices.note });
  }

  function update(state) {
    const run = runOf(state);
    say(state);
    put(document.body.dataset, { status: run?.status ?? "" });
    put($("status"), { textContent: statusLine(state) });
    put($("progress"), { value: run?.num_steps ? run.step / run.num_steps : 0 });
    const left = run?.status === "painting" ? clock(run.seconds_left) : "";
    put($("clock"), { textContent: run ? `step ${run.step} of ${run.num_steps} ${left}` : "" });
    put($("warnings"), { textContent: run?.notes?.join(" · ") ?? "" });
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
