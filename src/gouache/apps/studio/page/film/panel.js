// How the next film is to be: the way of the camera, what it begins with, its length, and the rest for who wants it.

import { sheetSize } from "../values.js";
import { $, attributes, keyed, made, put } from "../nodes.js";
import { brief, runOf, wordsOf } from "../selectors.js";
import { endsOf, FINE, fineOf, isMorph, MOTIONS, settingsOf } from "./selectors.js";

export function mount({ store }) {
  const dispatch = (type, told) => store.dispatch({ type, ...told });
  const [seconds, fps, speed, from, loop] = ["seconds", "fps", "speed", "from", "loop"].map((name) => $(`film-${name}`));
  const [ends, choices, fine, told] = ["film-ends", "film-choices", "film-settings", "film-told"].map($);
  let known = []; // what the last update was of

  for (const [name, { title }] of Object.entries(MOTIONS)) {
    const button = made("button", { textContent: title });
    button.dataset.motion = name;
    button.addEventListener("click", () => dispatch("directed", { motion: name }));
    $("film-motions").append(button);
  }
  const fields = { seconds, fps, speed, from };
  for (const [name, field] of Object.entries(fields)) {
    field.addEventListener("input", () => dispatch("directed", { [name]: field.value }));
  }
  loop.addEventListener("change", () => dispatch("directed", { loop: loop.checked }));

  // The ends of a morph.

  function makeEnd({ place }) {
    const image = made("img", { alt: "", loading: "lazy", decoding: "async", draggable: false });
    const button = made("button", { className: "end" }, image, made("span"));
    button.addEventListener("click", () => dispatch("ended", { place }));
    return made("li", {}, button);
  }

  function fillEnd(item, { run, url, at }) {
    const button = item.firstChild;
    attributes(button.firstChild, { src: url });
    put(button.lastChild, { textContent: ["first", "second"][at] ?? "" });
    attributes(button, { "aria-pressed": at >= 0, "aria-label": `${brief(wordsOf(run), 60)}${at < 0 ? "" : `: ${["first", "second"][at]}`}` });
  }

  // What is written by hand.

  function makeField({ name, choices: all, default: initial }) {
    const input = made(all ? "select" : "input", { id: `film-${name}` });
    for (const one of all ?? []) input.append(new Option(one, one));
    if (initial === true || initial === false) input.type = "checkbox";
    else input.spellcheck = false;
    const give = () => dispatch("typedIn", { name, value: input.type === "checkbox" ? input.checked : input.value });
    input.addEventListener("input", give);
    const label = made("label", { htmlFor: input.id, textContent: name.replaceAll("_", " ") });
    const hint = made("p", { id: `film-about-${name}`, className: "hint" });
    attributes(input, { "aria-describedby": hint.id });
    return made("div", { className: "setting" }, label, input, hint);
  }

  const fillField = (values) => (row, { name, help, default: initial }) => {
    const [, input, hint] = row.children;
    const value = values[name] ?? initial;
    put(input, input.type === "checkbox" ? { checked: value } : { value: String(value) });
    put(hint, { textContent: `${help}. Usually ${initial === false ? "no" : initial === true ? "yes" : initial || "nothing"}.` });
  };

  const [{ title: first }] = FINE;

  const makeGroup = ({ title }) => made("details", { open: title === first }, made("summary", { textContent: title }), made("div"));

  const fillGroup = (values) => (group, { settings }) =>
    keyed(group.lastChild, settings, ({ name }) => name, makeField, fillField(values));

  function update(state) {
    const parts = [state.film, state.info, state.runs, state.form, state.shown, state.panel];
    if (!state.info || parts.every((part, at) => part === known[at])) return;
    known = parts;
    const { film } = state;
    for (const [name, field] of Object.entries(fields)) put(field, { value: film[name] });
    put(loop, { checked: film.loop });
    for (const button of $("film-motions").children) {
      attributes(button, { "aria-pressed": button.dataset.motion === film.motion });
    }
    const morph = isMorph(state);
    for (const field of [speed, from]) put(field.parentNode, { hidden: morph });
    put(ends, { hidden: !morph });
    const size = film.from === "picture" ? (runOf(state)?.size ?? sheetSize(state.form)) : sheetSize(state.form);
    if (state.panel !== "film") return; // its lists are long
    keyed(choices, morph ? endsOf(state) : [], ({ place }) => place, makeEnd, fillEnd);
    keyed(fine, fineOf(state), ({ title }) => title, makeGroup, fillGroup({ ...settingsOf(state, size), ...film.typed }));
    const frames = Math.max(1, Math.round(Number(film.seconds) * Number(film.fps)));
    put(told, { textContent: Number.isFinite(frames) ? `${frames} frames` : "" });
  }

  return { update };
}
