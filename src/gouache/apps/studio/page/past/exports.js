// Saving the picture that is shown: at every size, its settings, the film of its making.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { nodeOf, runOf } from "../selectors.js";
import { exportUrl, sizesOf } from "./selectors.js";

export function mount({ store }) {
  const [menu, size, format] = ["exports", "export-size", "export-format"].map($);
  const [png, json, mp4, gif] = ["save-png", "save-json", "save-mp4", "save-gif"].map($);

  function links(run, node) {
    const base = `/api/runs/${run.id}`;
    attributes(png, { href: exportUrl(run, node, size.value || Math.max(...run.size), format.value) });
    attributes(json, { href: `${base}/settings.json` });
    attributes(mp4, { href: `${base}/timelapse.mp4` });
    attributes(gif, { href: `${base}/timelapse.gif` });
  }

  const now = () => update(store.state);
  size.addEventListener("change", now);
  format.addEventListener("change", now);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.firstElementChild.focus();
    event.stopPropagation();
  });
  function update(state) {
    const run = runOf(state);
    put(menu, { hidden: !run?.nodes.length });
    if (!run?.nodes.length) return;
    const words = ({ width, height }, at) => `${width} × ${height}${at ? "" : ", as painted"}`;
    const items = sizesOf(run).map((one, at) => ({ value: String(one.side), text: words(one, at) }));
    keyed(size, items, ({ value }) => value, () => made("option"), (node, { value, text }) =>
      put(node, { value, textContent: text }),
    );
    if (!items.some(({ value }) => value === size.value)) put(size, { value: items[0].value });
    links(run, nodeOf(state));
  }

  return { update };
}
