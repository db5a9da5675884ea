// Whether the buttons of the past can be pressed: {id: {text, disabled, hidden}}.

import { groupOf, isGridded, nodeOf, runOf } from "../selectors.js";
import { pointOf } from "./selectors.js";

const COUNTS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight"];

export function buttonsOf(state) {
  const run = runOf(state);
  const point = run && pointOf(run, nodeOf(state));
  const pairs = (what) => state.pair?.what === what;
  const { marked } = state.gallery;
  const [grid, members] = [isGridded(state), groupOf(state).length];
  return {
    delete: { disabled: !run || Boolean(state.busy.delete) },
    reuse: { disabled: !run },
    compare: { text: pairs("compare") ? "…choose the other" : "Compare…", disabled: !run },
    vary: { disabled: !point || Boolean(state.busy.order) },
    evolve: {
      text: pairs("evolve") ? "…choose the other" : "Evolve…",
      disabled: !point || Boolean(state.busy.order),
    },
    four: { text: `All ${COUNTS[members] ?? members}`, hidden: grid || !members },
    restore: { disabled: Boolean(state.busy.restore) },
    undelete: { hidden: !state.trash.length, disabled: Boolean(state.busy.restore) },
    "marked-compare": { disabled: marked.length !== 2 },
    "marked-evolve": { disabled: marked.length !== 2 || Boolean(state.busy.order) },
    "marked-delete": { disabled: Boolean(state.busy.delete) },
  };
}
