// Fine tuning: the settings in groups, made from what the server says of them; values are the state's (values.js).

import { changed, sheetSize, shownAs, tableOf, unchanged } from "../values.js";
import { drawnSize } from "./choices.js";
import { $, attributes, icon, made, put } from "../nodes.js";
import { GROUPS, PLAIN } from "./tuning.js";

const BESIDE = ["seed"]; // the bar has it
const SIZES = ["size", "scale"]; // what they come to together is what a person sees

export function mount({ store }) {
  const fields = new Map(); // name -> {input, row, hint, again, setting}
  const groups = [];
  let opened = null; // the groups that were open before settings were sought

  const set = (name, value, done) => store.dispatch({ type: "set", name, value, done });

  function sift() {
    const words = $("filter").value.trim().toLowerCase();
    if (words) opened ??= groups.filter(({ open }) => open);
    for (const group of groups) {
      const rows = [...group.children].slice(1);
      for (const row of rows) put(row, { hidden: Boolean(words) && !row.dataset.sought.includes(words) });
      const found = rows.some((row) => !row.hidden);
      put(group, { hidden: !found });
      if (words || opened) put(group, { open: words ? found : opened.includes(group) });
    }
    if (!words) opened = null;
  }

  $("filter").addEventListener("input", sift);

  function field(setting, models) {
    const { name, default: initial, help } = setting;
    const [title, sentence] = PLAIN[name] ?? [name.replaceAll("_", " "), help];
    const choices = models ?? (Array.isArray(initial) && name === "augment" ? null : setting.choices);
    const input = made(choices ? "select" : "input", { id: `setting-${name}` });
    for (const one of choices ?? []) input.append(new Option(one, one));
    const first = shownAs(setting, initial);
    if (choices && !choices.map(String).includes(first)) input.prepend(new Option(first, first));
    if (typeof initial === "boolean" && !choices) input.type = "checkbox";
    else input.spellcheck = false;
    const give = (done) => set(name, input.type === "checkbox" ? input.checked : input.value, done);
    input.addEventListener("input", () => give(false));
    input.addEventListener("change", () => give(true));
    const hint = made("p", { id: `about-${name}`, className: "hint" });
    attributes(input, { "aria-describedby": hint.id });
    const again = made("button", { className: "again" }, icon("undo"));
    again.addEventListener("click", () => set(name, unchanged(store.state, setting), true));
    attributes(again, { "aria-label": `${title}: as usual`, title: "As usual" });
    const label = made("label", { htmlFor: input.id, textContent: title });
    attributes(label, { title: `${name}: ${help}` });
    const row = made("div", { className: "setting" }, label, input, again, hint);
    row.dataset.sought = `${title} ${name} ${name.replaceAll("_", " ")} ${sentence} ${help}`.toLowerCase();
    fields.set(name, { input, row, hint, again, setting, sentence });
    return row;
  }

  function build(info) {
    const left = new Map(tableOf(info).map((one) => [one.name, one]));
    for (const name of BESIDE) left.delete(name);
    for (const { title, names, section } of GROUPS) {
      const own = names
        ? names.map((name) => left.get(name)).filter(Boolean)
        : [...left.values()].filter((one) => one.section === section);
      for (const { name } of own) left.delete(name);
      if (!own.length) continue;
      const head = made("summary", { textContent: title }, made("span", { className: "changes" }));
      const group = made("details", { open: !groups.length }, head);
      group.append(...own.map((one) => field(one, info.models[one.name])));
      groups.push(group);
    }
    $("settings").append(...groups);
  }

  function update(state) {
    if (!state.info) return;
    if (!fields.size) build(state.info);
    const marked = { ...changed(state, false, false), ...changed(state, true) };
    const finished = `The finished picture has ${drawnSize(state, sheetSize(state.form)).join(" × ")} pixels. `;
    for (const [name, { input, row, hint, again, setting, sentence }] of fields) {
      const value = state.form[name];
      if (input.options && ![...input.options].some((one) => one.value === value)) {
        input.append(new Option(value, value));
      }
      put(input, input.type === "checkbox" ? { checked: value } : { value });
      const usual = unchanged(state, setting);
      const said = usual === true ? "yes" : usual === false ? "no" : usual || "nothing";
      put(hint, { textContent: `${SIZES.includes(name) ? finished : ""}${sentence} Usually ${said}.` });
      row.classList.toggle("changed", name in marked);
      row.classList.toggle("only", input.options?.length === 1);
      put(again, { hidden: !(name in marked) });
    }
    for (const group of groups) {
      const changes = group.querySelectorAll(".setting.changed").length;
      put(group.querySelector(".changes"), { textContent: changes ? `${changes} changed` : "" });
    }
  }

  return { update };
}
