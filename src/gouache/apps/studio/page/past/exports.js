// Saving the picture that is shown: at every size, its settings, the film of its making.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { BUSY, isGridded, nodeOf, runOf } from "../selectors.js";
import { beside } from "./menu.js";
import { exportUrl, sizesOf } from "./selectors.js";

const FORMATS = { png: "PNG", jpeg: "JPEG", webp: "WebP" };

export function mount({ store }) {
  const [menu, size, format] = ["exports", "export-size", "export-format"].map($);
  const [png, json, mp4, gif] = ["save-png", "save-json", "save-mp4", "save-gif"].map($);
  const [save, too] = ["save", "save-too"].map($);
  let of = ""; // the picture whose sizes are told
  let closes = false; // whether the press that is going on has closed the menu

  const pixels = ({ width, height }) => `${width} × ${height}`;

  const makeLarger = () => saves(made("a", { download: "" }));

  function links(run, node, sizes) {
    const base = `/api/runs/${run.id}`;
    const chosen = sizes.find(({ side }) => String(side) === size.value) ?? sizes[0];
    const own = sizes.find((one) => one.own) ?? sizes[0];
    const as = (one) => `Save as ${FORMATS[format.value]}, ${pixels(one)}`;
    const to = ({ side }) => exportUrl(run, node, side, format.value);
    put(png, { textContent: as(chosen) });
    attributes(png, { href: to(chosen) });
    const larger = sizes.filter(({ side }) => side > own.side);
    put($("larger"), { hidden: !larger.length });
    keyed($("larger").lastElementChild, larger, ({ side }) => side, makeLarger, (link, one) => {
      put(link, { textContent: pixels(one) });
      attributes(link, { href: to(one), "aria-label": as(one) });
    });
    put($("save-sizes"), { textContent: `up to ${sizes.at(-1).side} px` });
    attributes(json, { href: `${base}/settings.json` });
    attributes(mp4, { href: `${base}/timelapse.mp4` });
    attributes(gif, { href: `${base}/timelapse.gif` });
  }

  /** Opens beside a button, above it where there is room; Escape, a press elsewhere and a choice close it. */
  function open(button) {
    menu.showPopover();
    beside(button, menu);
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

  function saves(link) {
    link.addEventListener("click", () => {
      store.dispatch({ type: "noticed", note: "It is saved where this browser keeps downloads." });
      setTimeout(() => menu.hidePopover()); // first the browser follows the link
    });
    return link;
  }
  for (const link of [png, json, mp4, gif]) saves(link);

  for (const choice of [size, format]) choice.addEventListener("change", () => update(store.state));

  function update(state) {
    const run = runOf(state);
    const none = !run?.nodes.length;
    const begins = run?.step === 0 && BUSY.includes(run.status) && nodeOf(state) === null; // nothing is painted yet
    put(save, { hidden: none || begins || isGridded(state) });
    put(too, { disabled: none });
    if (none) return menu.hidePopover();
    const node = nodeOf(state);
    const sizes = sizesOf(run, node);
    const at = sizes.findIndex(({ own }) => own);
    const words = (one, k) => `${pixels(one)}, ${k < at ? "smaller" : k > at ? "larger" : "as it is"}`;
    const items = sizes.map((one, k) => ({ value: String(one.side), text: words(one, k), own: one.own }));
    keyed(size, items, ({ value }) => value, () => made("option"), (node, { value, text }) =>
      put(node, { value, textContent: text }),
    );
    const now = `${run.id}/${node}@${run.status}`;
    if (now !== of) put(size, { value: (items.find(({ own }) => own) ?? items[0]).value });
    of = now;
    return links(run, node, sizes);
  }

  return { update };
}
