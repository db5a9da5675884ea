// Whether the buttons of the past can be pressed: {id: {text, disabled, hidden}}.

import { ENDED, runOf } from "../selectors.js";

export function buttonsOf(state) {
  const run = runOf(state);
  const ended = Boolean(run && ENDED.includes(run.status));
  return {
    delete: { disabled: !ended || Boolean(state.busy.delete) },
    reuse: { disabled: !run },
    compare: { text: state.comparing ? "…now choose the other" : "Compare with…", disabled: !run },
  };
}
