// Saving the picture that is shown: at every size, its settings, the film of its making.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { BUSY, isGridded, nodeOf, runOf } from "../selectors.js";
import { exportUrl, sizesOf } from "./selectors.js";

const GAP = 6; // CSS pixels between the button and what it opens, and from the window's edge

export function mount({ store }) {
  const [menu, size, format] = ["exports", "export-size", "export-format"].map($);
  const [png, json, mp4, gif] = ["save-png", "save-json", "save-mp4", "save-gif"].map($);
  const [save, too] = ["save", "save-too"].map($);
  let of = ""; // the picture whose sizes are told
  let closes = false; // whether the press that is going on has closed the menu

  function links(run, node) {
    const base = `/api/runs/${run.id}`;
    attributes(png, { href: exportUrl(run, node, size.value || Math.max(...run.size), format.value) });
    attributes(json, { href: `${base}/settings.json` });
    attributes(mp4, { href: `${base}/timelapse.mp4` });
    attributes(gif, { href: `${base}/timelapse.gif` });
  }

  /** Opens beside a button, above it where there is room; Escape, a press elsewhere and a choice close it. */
  function open(button) {
    menu.showPopover();
    const { left, top, bottom, width } = button.getBoundingClientRect();
    const { clientWidth: wide, clientHeight: high } = document.documentElement;
    const [across, down] = [menu.offsetWidth, menu.offsetHeight];
    const x = Math.max(GAP, Math.min(left + (width - across) / 2, wide - across - GAP));
    const y = top - down - GAP >= GAP ? top - down - GAP : Math.min(bottom + GAP, high - down - GAP);
    Object.assign(menu.style, { left: `${x}px`, top: `${Math.max(GAP, y)}px` });
    png.focus();
  }

  for (const button of [save, too]) {
    button.addEventListener("pointerdown", () => (closes = menu.matches(":popover-open")));
    button.addEventListener("click", () => {
      if (!closes) open(button);
      closes = false;
    });
  }
  // The browser's own way does not hear of a press on the easel, which keeps the pointer for its strokes.
  document.addEventListener("pointerdown", ({ target }) => {
    if (menu.matches(":popover-open") && !menu.contains(target) && !target.closest(".saves")) menu.hidePopover();
  }, { capture: true });
  document.addEventListener("keydown", (event) => {
    const writes = event.target.matches("input:not([type=range], [type=checkbox], [type=color]), textarea, select");
    const plain = !(event.ctrlKey || event.metaKey || event.altKey || writes);
    if (event.key.toLowerCase() !== "s" || !plain || document.querySelector("dialog[open]")) return;
    const button = [save, too].find((one) => !one.disabled && one.offsetParent);
    if (!button) return;
    open(button);
    event.preventDefault();
  });

  for (const link of [png, json, mp4, gif]) {
    link.addEventListener("click", () => {
      store.dispatch({ type: "noticed", note: "It is saved where this browser keeps downloads." });
      setTimeout(() => menu.hidePopover()); // first the browser follows the link
    });
  }

  for (const choice of [size, format]) choice.addEventListener("change", () => update(store.state));

  function update(state) {
    const run = runOf(state);
    const none = !run?.nodes.length;
    const begins = run?.step === 0 && BUSY.includes(run.status) && nodeOf(state) === null; // nothing is painted yet
    put(save, { hidden: none || begins || isGridded(state) });
    put(too, { disabled: none });
    if (none) return menu.hidePopover();
    const node = nodeOf(state);
    const words = ({ width, height, own }) => `${width} × ${height}${own ? ", as painted" : ""}`;
    const items = sizesOf(run, node).map((one) => ({ value: String(one.side), text: words(one), own: one.own }));
    keyed(size, items, ({ value }) => value, () => made("option"), (node, { value, text }) =>
      put(node, { value, textContent: text }),
    );
    const now = `${run.id}/${node}@${run.status}`;
    if (now !== of) put(size, { value: (items.find(({ own }) => own) ?? items[0]).value });
    of = now;
    return links(run, node);
  }

  return { update };
}
