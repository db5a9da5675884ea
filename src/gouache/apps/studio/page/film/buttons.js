// Whether the buttons of films can be pressed: {id: {text, disabled, hidden}}.

import { runOf } from "../selectors.js";
import { isMorph, pointShown } from "./selectors.js";

export function buttonsOf(state) {
  const run = runOf(state);
  const [morph, picture] = [isMorph(state), state.film.from === "picture"];
  const missing = morph ? state.film.ends.length < 2 : picture ? !pointShown(state) : !state.draft.words.trim();
  return {
    "film-order": {
      text: morph ? "Paint the morph" : picture ? "Move this picture" : "Paint the film",
      disabled: missing || Boolean(state.busy.order) || !state.ready,
    },
    "film-this": { disabled: !pointShown(state) },
    "film-on": { hidden: run?.kind !== "film" || run.status !== "stopped", disabled: Boolean(state.busy.run) },
  };
}
