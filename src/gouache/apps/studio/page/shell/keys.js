// The keys, wherever the focus is.

import { $ } from "../nodes.js";
import { buttonsOf } from "../buttons.js";

const TOOLS = { b: "brush", e: "eraser", m: "mask", n: "unmask" };
const SIZES = { min: 1, max: 120 };

export function mount({ store, actions: { buttons } }) {
  function resize(factor) {
    const size = Math.round(store.state.hand.size * factor);
    store.dispatch({ type: "held", size: Math.min(SIZES.max, Math.max(SIZES.min, size)) });
  }

  function pressed(event) {
    const writing = event.target.matches("input:not([type=range]), textarea, select");
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if ($("versus").open) return;
    if (command && event.key === "Enter") {
      const field = document.activeElement;
      if (field?.matches("input")) {
        field.blur(); // so that a number that is being typed counts
        field.focus();
      }
      if (!event.repeat) buttons.paint(event);
    } else if (writing) return;
    else if (command && key === "z") buttons[event.shiftKey ? "redo" : "undo"]();
    else if (command && key === "y") buttons.redo();
    else if (command || event.altKey) return;
    else if (event.key === " " && !event.target.matches("button, summary, .drop, a")) {
      if (!event.repeat && !buttonsOf(store.state).pause.disabled) buttons.pause(event);
    } else if (TOOLS[event.key]) store.dispatch({ type: "held", tool: TOOLS[event.key] });
    else if ("[]".includes(event.key)) resize(event.key === "]" ? 1.2 : 0.8);
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", pressed);
  return { update() {} };
}
