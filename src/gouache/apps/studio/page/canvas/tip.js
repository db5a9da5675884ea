// The names of the tools, beside the rail, while the pointer or the focus is on one.

import { $, put } from "../nodes.js";

const GAP = 8; // pixels between a tool and its name

export function mount() {
  const [rail, tip] = ["rail", "tip"].map($);
  const hide = () => put(tip, { hidden: true });
  const toolOf = ({ target }) => target.closest("button, input");

  function show(tool) {
    if (!tool) return hide();
    put(tip, { textContent: tool.dataset.tip ?? tool.getAttribute("aria-label"), hidden: false });
    const [box, around] = [tool.getBoundingClientRect(), rail.getBoundingClientRect()];
    const lies = around.width > around.height; // on a phone: the names are below it
    const [left, top] = lies
      ? [Math.max(GAP, Math.min(box.left, innerWidth - tip.offsetWidth - GAP)), around.bottom + GAP]
      : [around.right + GAP, box.top + (box.height - tip.offsetHeight) / 2];
    return Object.assign(tip.style, { left: `${left}px`, top: `${top}px` });
  }

  rail.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch") show(toolOf(event));
  });
  rail.addEventListener("focusin", (event) => {
    if (event.target.matches(":focus-visible")) show(toolOf(event));
  });
  for (const away of ["pointerleave", "focusout", "scroll"]) rail.addEventListener(away, hide);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());

  return { update() {} };
}
