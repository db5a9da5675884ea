// What was deleted: seen, brought back, or gone for good.

import { $, attributes, keyed, made, put } from "../nodes.js";
import { brief } from "../selectors.js";
import { titleOf } from "./selectors.js";
import { button } from "./thumbs.js";

const DAY = 86400; // seconds
const SIDE = 320; // pixels of the longer side of a thumbnail

/** How long a picture that goes at `until`, in seconds, is still there, in words. */
function left(until) {
  const days = Math.ceil((until - Date.now() / 1000) / DAY);
  return days > 1 ? `gone in ${days} days` : "gone within a day";
}

export function mount({ store, actions }) {
  const [box, told, list, open, empty] = ["trash", "trash-told", "trash-list", "trash-open", "trash-empty"].map($);
  let sure = ""; // the pictures that were to go when it was pressed once
  const all = () => store.state.binned?.map(({ id }) => id).join(" ") ?? "";

  open.addEventListener("click", () => actions.openTrash(!store.state.binned));
  empty.addEventListener("click", () => {
    if (sure === all()) actions.emptyTrash();
    sure = sure === all() ? "" : all();
    update(store.state);
  });

  function make({ id }) {
    const back = button("back", "Bring back", () => actions.bringBack(id));
    return made("li", {}, made("img", { loading: "lazy", alt: "" }), made("span"), back);
  }

  function fill(item, run) {
    const [image, words, back] = item.children;
    const name = brief(titleOf(run), 60);
    attributes(image, { src: run.picture || run.nodes.length ? `/api/trash/${run.id}/thumb?side=${SIDE}` : null });
    image.style.setProperty("--ratio", String(run.size[0] / run.size[1]));
    put(words, { textContent: `${name}: ${left(run.until)}` });
    attributes(back, { "aria-label": `Bring back ${name}` });
  }

  function update({ binned, busy }) {
    put(box, { hidden: !binned });
    put(open, { textContent: binned ? "Back to the gallery" : "Trash" });
    put($("gallery-title"), { textContent: binned ? "Trash" : "Gallery" });
    put($("panel-gallery").dataset, { trash: String(Boolean(binned)) });
    if (sure !== all()) sure = "";
    if (!binned) return;
    put(told, { textContent: binned.length ? `${binned.length} deleted` : "Nothing is in the trash." });
    put(empty, {
      hidden: !binned.length,
      disabled: Boolean(busy.trash),
      textContent: sure ? "Press again: gone for good" : "Empty the trash",
    });
    keyed(list, binned, ({ id }) => id, make, fill);
  }

  return { update };
}
