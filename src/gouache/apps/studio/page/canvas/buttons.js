// Whether the buttons of the hand can be pressed: {id: {text, disabled, hidden}}.

import { runOf } from "../selectors.js";

/** The try on a part that is shown, if it is one. */
export const tryOf = (state) => state.part.tries.find(({ id }) => id === runOf(state)?.id) ?? null;

export function buttonsOf(state) {
  const { busy, grow, layers, ready, undo } = state;
  const ordering = Boolean(busy.order) || !ready;
  const unmasked = layers.mask.empty;
  return {
    repaint: { text: unmasked ? "Repaint all of it" : "Repaint the mask", disabled: ordering },
    grow: { disabled: ordering || !Object.values(grow).some(Boolean) },
    find: { disabled: Boolean(busy.find) },
    "keep-try": { disabled: !tryOf(state) },
    "mask-none": { disabled: unmasked },
    "mask-clear": { disabled: unmasked },
    undo: { disabled: !undo.past },
    redo: { disabled: !undo.future },
  };
}
