// The settings' form, made from what the server says of them; its values are the state's (form.js).

import { changed, shownAs, tableOf } from "../form.js";
import { $, made, put } from "../nodes.js";

const COMMON = ["size", "steps", "seed", "num_cutouts", "latent", "generator", "perceptor"];

export function mount({ store }) {
  const fields = new Map(); // name -> {input, label}

  $("filter").addEventListener("input", () => {
    const words = $("filter").value.trim().toLowerCase().replaceAll(" ", "_");
    for (const label of $("all").children) label.hidden = !label.dataset.name.includes(words);
  });

  function field(setting, models) {
    const { name, default: initial, help } = setting;
    const choices = models ?? (Array.isArray(initial) && name === "augment" ? null : setting.choices);
    const input = made(choices ? "select" : "input", { id: `setting-${name}` });
    for (const one of choices ?? []) input.append(new Option(one, one));
    const first = shownAs(setting, initial);
    if (choices && !choices.map(String).includes(first)) input.prepend(new Option(first, first));
    if (typeof initial === "boolean" && !choices) input.type = "checkbox";
    else input.spellcheck = false;
    const set = (done) => {
      const value = input.type === "checkbox" ? input.checked : input.value;
      store.dispatch({ type: "set", name, value, done });
    };
    input.addEventListener("input", () => set(false));
    input.addEventListener("change", () => set(true));
    const label = made("label", { title: help }, name.replaceAll("_", " "), made("br"), input);
    label.dataset.name = name;
    fields.set(name, { input, label });
    return label;
  }

  function build(info) {
    const table = tableOf(info);
    const common = COMMON.map((name) => table.find((one) => one.name === name)).filter(Boolean);
    $("common").append(...common.map((one) => field(one, info.models[one.name])));
    $("all").append(...table.filter((one) => !COMMON.includes(one.name)).map((one) => field(one)));
  }

  function update(state) {
    if (!state.info) return;
    if (!fields.size) build(state.info);
    const marked = changed(state);
    for (const [name, { input, label }] of fields) {
      const value = state.form[name];
      if (input.options && ![...input.options].some((one) => one.value === value)) {
        input.append(new Option(value, value));
      }
      put(input, input.type === "checkbox" ? { checked: value } : { value });
      label.classList.toggle("changed", name in marked);
    }
  }

  return { update };
}
