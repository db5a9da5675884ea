// The keys of the canvas, wherever the focus is and nothing is being written.

import { $ } from "../nodes.js";
import { buttonsOf } from "../buttons.js";

const TOOLS = {
  b: "brush", e: "eraser", g: "fill", i: "pick", m: "mask", n: "unmask", h: "hand", x: "grow",
};
const ZOOMS = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "zoom-fit", 1: "zoom-level", f: "fullscreen" };
const LARGER = 1.2;

export function mount({ store, hand, actions: { buttons } }) {
  const free = (event) =>
    !event.target.matches("input:not([type=range], [type=checkbox], [type=color]), textarea, select") &&
    !document.querySelector("dialog[open]");
  const held = (told) => store.dispatch({ type: "held", ...told });

  function pressed(event) {
    if (!free(event) || event.defaultPrevented) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const { size } = store.state.hand;
    if (command && key === "z") buttons[event.shiftKey ? "redo" : "undo"]();
    else if (command && key === "y") buttons.redo();
    else if (command || event.altKey) return;
    else if (key === " " && !event.target.matches("button, summary, .drop, a, input:not([type=range]), [role=button]")) {
      hand.spaceDown();
    } else if (TOOLS[key]) held({ tool: TOOLS[key] });
    else if (ZOOMS[key]) $(ZOOMS[key]).click();
    else if (key === "[") held({ size: Math.min(size - 1, Math.round(size / LARGER)) });
    else if (key === "]") held({ size: Math.max(size + 1, Math.round(size * LARGER)) });
    else return;
    event.preventDefault();
  }

  /** A tap on the space bar pauses and goes on; held down, it moves the picture. */
  function released(event) {
    if (event.key !== " " || !hand.spaceIsDown()) return;
    if (!hand.spaceUp() && !buttonsOf(store.state).pause.disabled) buttons.pause(event);
    event.preventDefault();
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("keyup", released);
  return { update() {} };
}
