// The buttons that have an id: each part says what they are called and whether they can be pressed
// (its buttons.js) and what they do (its actions.js).

import * as canvas from "./canvas/buttons.js";
import * as film from "./film/buttons.js";
import { $, put } from "./nodes.js";
import * as past from "./past/buttons.js";
import * as shell from "./shell/buttons.js";

/** {id: {text, disabled, hidden}} of all. */
export const buttonsOf = (state) =>
  ({ ...shell.buttonsOf(state), ...canvas.buttonsOf(state), ...past.buttonsOf(state), ...film.buttonsOf(state) });

export function mount({ actions }) {
  for (const [id, action] of Object.entries(actions.buttons)) $(id).addEventListener("click", action);

  function update(state) {
    for (const [id, { text, ...properties }] of Object.entries(buttonsOf(state))) {
      put($(id), properties);
      // A button with an icon has its name in a node of its own.
      const name = $(id).querySelector(".name")?.firstChild ?? $(id).firstChild;
      if (text) put(name, { data: text });
    }
  }

  return { update };
}
