// What was thrown away last, and how it comes back.

import { $, put } from "../nodes.js";

export function mount({ store }) {
  const [box, read] = ["bin", "bin-read"].map($);
  read.addEventListener("click", () => store.dispatch({ type: "binRead" }));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && store.state.pair) store.dispatch({ type: "paired", pair: null });
  });

  function update({ binTold, trash }) {
    put(box, { hidden: !binTold || !trash.length });
    if (trash.length) put(box.firstElementChild, { textContent: `Thrown away: ${trash.at(-1).what}.` });
  }

  return { update };
}
