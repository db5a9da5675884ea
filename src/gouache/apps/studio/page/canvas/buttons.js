// Whether the buttons of the hand can be pressed: {id: {text, disabled, hidden}}.

export function buttonsOf({ busy, ready, undo }) {
  return {
    repaint: { disabled: Boolean(busy.order) || !ready },
    find: { disabled: Boolean(busy.find) },
    undo: { disabled: !undo.past },
    redo: { disabled: !undo.future },
  };
}
