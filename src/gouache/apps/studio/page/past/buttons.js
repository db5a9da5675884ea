// Whether the buttons of the past can be pressed: {id: {text, disabled, hidden}}.

import { BUSY, groupOf, isGridded, nodeOf, runOf } from "../selectors.js";
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
    "go-on-here": {
      disabled: !run || grid || Boolean(state.busy.order || state.busy.run) || (nodeOf(state) === null && BUSY.includes(run.status)),
    },
    "history-more": { disabled: !run },
    "gallery-compare": {
      text: pairs("compare") ? "…choose the other" : "Compare…", disabled: !run, hidden: marked.length > 0,
    },
    compare: { text: pairs("compare") ? "…choose the other" : "Compare…", disabled: !run },
    vary: { disabled: !point || Boolean(state.busy.order) },
    evolve: {
      text: pairs("evolve") ? "…choose the other" : "Evolve…",
      disabled: !point || Boolean(state.busy.order),
    },
    four: { text: `All ${COUNTS[members] ?? members}`, hidden: grid || !members },
    restore: { disabled: Boolean(state.busy.restore) },
    undelete: { hidden: !state.trash.length, disabled: Boolean(state.busy.restore) },
    "marked-compare": {
      text: marked.length === 1 ? (pairs("compare") ? "…choose the other" : "Compare with…") : "Compare",
      title: marked.length > 2 ? "Two can be compared; take some marks away" : "Shows two beside each other",
      disabled: marked.length > 2,
    },
    "marked-evolve": { disabled: marked.length !== 2 || Boolean(state.busy.order) },
    "marked-delete": { disabled: Boolean(state.busy.delete) },
  };
}
