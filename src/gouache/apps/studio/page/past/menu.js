// What is done more seldom, in a menu that a button opens beside itself.

import { attributes } from "../nodes.js";

const GAP = 6; // CSS pixels between the button and what it opens, and from the window's edge
const MOVES = { ArrowDown: 1, ArrowUp: -1 };

/** Puts what is open beside a button, above it where there is room. */
export function beside(button, opened) {
  const { left, top, bottom, width } = button.getBoundingClientRect();
  const { clientWidth: wide, clientHeight: high } = document.documentElement;
  const [across, down] = [opened.offsetWidth, opened.offsetHeight];
  const x = Math.max(GAP, Math.min(left + (width - across) / 2, wide - across - GAP));
  const y = top - down - GAP >= GAP ? top - down - GAP : Math.min(bottom + GAP, high - down - GAP);
  Object.assign(opened.style, { left: `${x}px`, top: `${Math.max(GAP, y)}px` });
}

/** Makes `menu` what `button` opens: Escape, a press elsewhere and a choice close it; arrow keys lead through it. */
export function menuOf(button, menu) {
  // The browser's own way does not hear of a press on the easel, which keeps the pointer for its strokes.
  const away = ({ target }) => menu.contains(target) || button.contains(target) || menu.hidePopover();
  menu.popover = "auto";
  menu.classList.add("menu");
  button.popoverTargetElement = menu;
  attributes(button, { "aria-expanded": "false" });
  menu.addEventListener("toggle", ({ newState }) => {
    const open = newState === "open";
    attributes(button, { "aria-expanded": open });
    document[open ? "addEventListener" : "removeEventListener"]("pointerdown", away, { capture: true });
    if (!open) return;
    beside(button, menu);
    menu.querySelector("button:enabled")?.focus();
  });
  menu.addEventListener("click", ({ target }) => target.closest("button") && menu.hidePopover());
  menu.addEventListener("keydown", (event) => {
    const all = [...menu.querySelectorAll("button:enabled")];
    const next = all[all.indexOf(document.activeElement) + MOVES[event.key]];
    if (!(event.key in MOVES)) return;
    next?.focus();
    event.preventDefault();
    event.stopPropagation();
  });
}
