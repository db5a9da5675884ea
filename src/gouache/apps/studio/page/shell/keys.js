// The keys of the bar, wherever the focus is; those of the canvas: canvas/keys.js.

import { $ } from "../nodes.js";

export function mount({ actions: { buttons } }) {
  function pressed(event) {
    const command = event.ctrlKey || event.metaKey;
    if ($("versus").open) return;
    const field = document.activeElement;
    // As in every box of a prompt; Shift makes a new line.
    const said = field === $("prompt") && !event.shiftKey && !event.altKey && !event.isComposing;
    if (event.key === "Enter" && (command || said)) {
      if (field?.matches("input")) {
        field.blur(); // so that a number that is being typed counts
        field.focus();
      }
      if (!event.repeat) buttons.paint(event);
    } else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", pressed);
  return { update() {} };
}
