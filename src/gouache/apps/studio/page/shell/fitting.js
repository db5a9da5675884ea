// How the picture to start from fits on the sheet: asked on the easel when it was given, and whenever it would lose
// something.

import { $, attributes, put } from "../nodes.js";
import { runOf } from "../selectors.js";
import { isMisfit } from "./choices.js";

export function mount({ store, actions }) {
  const card = $("fitting");
  const ways = [...card.querySelectorAll("[data-fit]")];
  const [across, down] = [$("fit-x"), $("fit-y")];

  card.addEventListener("submit", (event) => event.preventDefault());
  for (const button of ways) button.addEventListener("click", () => actions.fit({ way: button.dataset.fit }));
  for (const place of [across, down]) {
    place.addEventListener("change", () => {
      actions.fit({ way: "crop", x: Number(across.value) / 100, y: Number(down.value) / 100 });
    });
  }
  $("fit-done").addEventListener("click", () => store.dispatch({ type: "chose", fitting: false }));
  $("fit-away").addEventListener("click", () => store.dispatch({ type: "started", picture: null }));

  function update(state) {
    const { start } = state.draft;
    const misfit = Boolean(start) && isMisfit(state);
    put(card, { hidden: !start || runOf(state) !== null || !(state.fitting || misfit) });
    if (card.hidden) return;
    put($("fit-says"), {
      textContent: misfit
        ? `This picture is ${start.width} × ${start.height}; the sheet has another shape, and its middle would be taken.`
        : "Painting starts from this picture.",
    });
    for (const button of ways) attributes(button, { "aria-pressed": (start.fit || "none") === (button.dataset.fit || "own") });
    put($("fit-place"), { hidden: start.fit !== "crop" });
    const { width, height } = start.whole ?? start;
    const wider = width * start.height > height * start.width;
    put(across, { hidden: !wider });
    put(down, { hidden: wider });
    for (const [input, value] of [[across, start.x], [down, start.y]]) {
      if (input !== document.activeElement) put(input, { value: String(Math.round(100 * (value ?? 0.5))) });
    }
    put($("fit-done"), { hidden: misfit });
  }

  return { update };
}
