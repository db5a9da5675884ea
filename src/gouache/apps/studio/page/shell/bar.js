// What is chosen in the bar beside the words: shape and size, how many, the seed, how near to the drawing.

import { $, attributes, keyed, put } from "../nodes.js";
import { sheetSize } from "../values.js";
import { ENDED, isDrawn, runOf } from "../selectors.js";
import { chosenSize, drawnSize, sizeOf, sizesOf, sizeText } from "./choices.js";

const FIRST = "0"; // the seed where nobody says
const pixels = (size) => `${size.join(" × ")} px`;
// From there on. Of the colour of broad strokes nothing is left at 0, a third at 0.5, half at 0.6.
const NEAR = [[0.9, "keeps shapes"], [0.55, "keeps colours"], [0.35, "keeps places"], [0.01, "a hint of it"], [0, "free"]];

export function mount({ store, work }) {
  const shapes = [...document.querySelectorAll("[data-shape]")];
  const counts = [...document.querySelectorAll("[data-count]")];
  const [scale, seed, near] = [$("scale"), $("setting-seed"), $("near")];
  const size = (value) => store.dispatch({ type: "set", name: "size", value, done: true });
  const chose = (told) => store.dispatch({ type: "chose", ...told });

  for (const button of shapes) {
    button.addEventListener("click", () => {
      const { shape } = button.dataset;
      size(sizeText(sizeOf(store.state, shape, chosenSize(store.state).scale ?? 1)));
    });
  }
  for (const button of counts) {
    button.addEventListener("click", () => chose({ count: Number(button.dataset.count) }));
  }
  scale.addEventListener("change", () => size(scale.value));
  for (const name of ["input", "change"]) {
    seed.addEventListener(name, () => store.dispatch({ type: "set", name: "seed", value: seed.value || FIRST }));
  }
  $("dice").addEventListener("click", () => work.roll());
  $("lock").addEventListener("click", () => chose({ locked: !store.state.locked }));
  near.addEventListener("input", () => chose({ near: Number(near.value) / 100 }));

  function fillScale(state, shape, known) {
    const own = state.form.size.trim();
    const sizes = sizesOf(state, shape).map((one) => ({ ...one, text: sizeText(one.size) }));
    const options = sizes.map(({ text, size, allowed }) =>
      ({ value: text, text: pixels(drawnSize(state, size)), disabled: !allowed }));
    if (known === null) options.push({ value: own, text: pixels(drawnSize(state, sheetSize(state.form))), disabled: false });
    keyed(scale, options, ({ value }) => value, () => document.createElement("option"), put);
    put(scale, { value: known === null ? own : sizes.find((one) => one.scale === known).text });
  }

  function update(state) {
    if (!state.ready) return;
    const { shape, scale: known } = chosenSize(state);
    for (const button of shapes) attributes(button, { "aria-pressed": button.dataset.shape === shape });
    for (const button of counts) attributes(button, { "aria-pressed": Number(button.dataset.count) === state.count });
    fillScale(state, shape, known);
    const { seed: set } = state.form;
    put(seed, { value: state.locked || set !== FIRST ? set : "" }); // before the first throw there is none
    attributes($("lock"), {
      "aria-pressed": state.locked,
      title: state.locked
        ? "The seed stays: the same order gives the same picture. Press for a new one each time."
        : "Each order throws the dice. Press to keep this seed.",
    });
    attributes($("lock").querySelector("use"), { href: `/page/icons.svg#${state.locked ? "lock" : "unlock"}` });
    // Strokes on a picture that is being painted are gone from the sheet soon; the next ones may stay otherwise.
    const run = runOf(state);
    const drawnOn = run && !ENDED.includes(run.status) && run.nodes.some(({ kind }) => kind === "drawn");
    put($("nearness"), { hidden: !(isDrawn(state) || state.draft.start || drawnOn) });
    put(near, { value: String(Math.round(100 * state.near)) });
    put($("near-is"), { textContent: NEAR.find(([from]) => state.near >= from)[1] });
  }

  return { update };
}
