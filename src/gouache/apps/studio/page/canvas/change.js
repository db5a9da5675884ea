// Changing a part of the picture: what is there, what it becomes, and what the mask is.

import { $, put } from "../nodes.js";

const FIELDS = ["phrase", "replace"];

export function mount({ store }) {
  for (const field of FIELDS) {
    $(field).addEventListener("input", () => store.dispatch({ type: "wrote", field, text: $(field).value }));
  }

  function update({ draft, notices }) {
    for (const field of FIELDS) put($(field), { value: draft[field] });
    if (notices.mask !== null) put($("mask-note"), { textContent: notices.mask });
  }

  return { update };
}
