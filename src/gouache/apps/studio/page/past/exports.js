// What can be saved of the picture that is shown.

import { $, put } from "../nodes.js";
import { nodeOf, nodeUrl, runOf } from "../selectors.js";

export function mount() {
  function update(state) {
    const [run, node] = [runOf(state), nodeOf(state)];
    put($("exports"), { hidden: !run?.nodes.length });
    if (!run) return;
    const base = `/api/runs/${run.id}`;
    const picture = run.picture ? `${base}/picture.png` : `${base}/frame.jpg`;
    $("save-png").href = node === null ? picture : nodeUrl(run.id, node);
    $("save-json").href = `${base}/settings.json`;
    $("save-mp4").href = `${base}/timelapse.mp4`;
    $("save-gif").href = `${base}/timelapse.gif`;
  }

  return { update };
}
