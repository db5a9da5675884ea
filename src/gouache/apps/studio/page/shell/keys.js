// The keys of the bar, wherever the focus is; those of the canvas: canvas/keys.js.

import { $ } from "../nodes.js";

export function mount({ actions: { buttons } }) {
  function pressed(event) {
    const command = event.ctrlKey || event.metaKey;
    if ($("versus").open) return;
    if (command && event.key === "Enter") {
      const field = document.activeElement;
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
