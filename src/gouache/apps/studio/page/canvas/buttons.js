// Whether the buttons of the hand can be pressed: {id: {text, disabled, hidden}}.

import { keptFrom, partOf, tryOf } from "../selectors.js";

export function buttonsOf(state) {
  const { busy, draft, grow, layers, ready, undo } = state;
  const ordering = Boolean(busy.order) || !ready;
  const unmasked = layers.mask.empty;
  const tries = partOf(state) !== null && !draft.replace.trim(); // what comes next is to choose one of them
  return {
    repaint: { text: unmasked ? "Repaint all of it" : "Repaint what I marked", className: tries ? "" : "main", disabled: ordering },
    grow: { disabled: ordering || !Object.values(grow).some(Boolean) },
    find: { disabled: Boolean(busy.find) },
    "keep-try": { className: tries ? "main" : "", disabled: !tryOf(state) },
    "compare-try": { disabled: !tryOf(state) || !state.runs.has(partOf(state).base.run) },
    "tries-back": { hidden: !keptFrom(state) },
    "mask-none": { disabled: unmasked },
    "mask-clear": { disabled: unmasked },
    undo: { disabled: !undo.past },
    redo: { disabled: !undo.future },
  };
}
