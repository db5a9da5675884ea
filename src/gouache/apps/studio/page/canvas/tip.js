// The names of the tools, and what the wishes' row is for: beside them, while the pointer or the focus is on one.

import { $, put } from "../nodes.js";

const GAP = 8; // pixels between a tool and its name

export function mount() {
  const [rail, parts, tip] = ["rail", "parts", "tip"].map($);
  const hide = () => put(tip, { hidden: true });

  function show(around, { target }) {
    const tool = target.closest(around === rail ? "button, input" : "[data-tip]");
    if (!tool) return hide();
    put(tip, { textContent: tool.dataset.tip ?? tool.getAttribute("aria-label"), hidden: false });
    const [box, all] = [tool, around].map((one) => one.getBoundingClientRect());
    const lies = all.width > all.height; // the names are below it, or above where there is no room
    const below = all.bottom + GAP + tip.offsetHeight < innerHeight ? all.bottom + GAP : all.top - GAP - tip.offsetHeight;
    const [left, top] = lies
      ? [Math.max(GAP, Math.min(box.left, innerWidth - tip.offsetWidth - GAP)), below]
      : [all.right + GAP, box.top + (box.height - tip.offsetHeight) / 2];
    return Object.assign(tip.style, { left: `${left}px`, top: `${top}px` });
  }

  for (const one of [rail, parts]) {
    one.addEventListener("pointerover", (event) => event.pointerType === "touch" || show(one, event));
    one.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && show(one, event));
    for (const away of ["pointerleave", "focusout"]) one.addEventListener(away, hide);
    one.addEventListener("scroll", () => { // which the focus may have done
      const target = one.querySelector(":focus-visible");
      if (target) show(one, { target });
      else hide();
    });
  }
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());

  return { update() {} };
}
