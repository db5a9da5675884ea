// What a first visit is offered: six pictures that were painted with the settings as they are, at a press.

import { $, made, put } from "../nodes.js";
import { isDrawn, runOf } from "../selectors.js";

/** In the order of examples.webp. */
const EXAMPLES = [
  "a sailboat at sea", "a lion", "a volcano at sunset", "a castle at night", "an orange fish",
  "a charcoal drawing of a cat",
];

export function mount({ store, actions }) {
  const box = $("examples");
  let wanted = false; // asked for, though it is no first visit
  box.append(made("p", { textContent: "Try one:" }));
  for (const [at, words] of EXAMPLES.entries()) {
    const picture = made("span", { className: "example" });
    picture.style.backgroundPosition = `${(100 * at) / (EXAMPLES.length - 1)}% 0`;
    const button = made("button", {}, picture, made("span", { textContent: words }));
    button.addEventListener("click", () => {
      wanted = false;
      actions.example(words);
    });
    box.append(button);
  }
  $("help-examples").addEventListener("click", () => {
    wanted = true;
    $("help").close();
    store.dispatch({ type: "newSheet" });
    update(store.state);
    box.querySelector("button").focus();
  });

  function update(state) {
    const { ready, runs, draft, busy } = state;
    const first = !runs.size && !draft.words.trim() && !draft.start;
    const shown = ready && !runOf(state) && !isDrawn(state) && !busy.order && (first || wanted);
    if (runOf(state)) wanted = false;
    put(box, { hidden: !shown });
  }

  return { update };
}
