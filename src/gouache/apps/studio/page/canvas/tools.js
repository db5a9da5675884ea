// What the hand holds, and its strokes.

import { listen } from "./layer.js";
import { $, attributes, made, put } from "../nodes.js";
import { nodeOf, runOf } from "../selectors.js";

const SWATCHES = ["#1b1a19", "#fffdf6", "#d8432b", "#e9a820", "#3d8a4a", "#2c6db5", "#7a4a2b"];
const PAUSE_FIRST = "Pause it first, then paint on it.";

export function mount({ store, easel }) {
  const hold = (told) => store.dispatch({ type: "held", ...told });
  const tools = [...document.querySelectorAll("[data-tool]")];
  for (const button of tools) {
    button.addEventListener("click", () => hold({ tool: button.dataset.tool }));
  }
  for (const color of SWATCHES) {
    const button = made("button");
    button.style.background = color;
    button.setAttribute("aria-label", `Colour ${color}`);
    button.addEventListener("click", () => hold({ color }));
    $("swatches").append(button);
  }
  $("color").addEventListener("input", (event) => hold({ color: event.target.value }));
  $("brush-size").addEventListener("input", (event) => hold({ size: Number(event.target.value) }));

  function mayDraw() {
    const { state } = store;
    const painting = runOf(state)?.status === "painting" && nodeOf(state) === null;
    if (painting) store.dispatch({ type: "noticed", note: PAUSE_FIRST });
    else if (state.notices.note === PAUSE_FIRST) store.dispatch({ type: "noticed", note: "" });
    return state.ready && !painting;
  }

  const begin = () => {
    if (!mayDraw()) return false;
    easel.past.remember(easel.layer);
    return true;
  };
  listen(easel.strokes.canvas, begin, (from, to) => easel.draw(from, to), () => easel.tell());

  document.addEventListener("click", (event) => {
    const byHand = event.detail > 0 && event.target.closest("button");
    if (byHand && !event.target.closest("dialog, #chips, .drop")) easel.focus();
  });

  function update({ hand }) {
    for (const button of tools) attributes(button, { "aria-pressed": button.dataset.tool === hand.tool });
    put($("color"), { value: hand.color });
    put($("brush-size"), { value: String(Math.round(hand.size)) });
  }

  return { update };
}
