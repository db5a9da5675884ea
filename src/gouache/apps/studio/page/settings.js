// The settings' form, made from what the server says of them. Only what was changed is sent: what
// each perceptor has instead of it, the server says too, and the form shows.

const COMMON = ["size", "steps", "seed", "num_cutouts", "latent", "generator", "perceptor"];
const show = (value) =>
  Array.isArray(value) ? value.join(",") : value === null ? "" : String(value);
const textOf = (name, value) =>
  name === "size" && Array.isArray(value) ? value.join("x") : show(value);

export class Settings {
  constructor(info, common, all, filter) {
    this.inputs = new Map();
    this.presets = info.presets;
    const table = info.settings.filter((one) => !one.name.includes("prompt"));
    for (const name of COMMON) {
      const setting = table.find((one) => one.name === name);
      if (setting) common.append(this.field(setting, info.models[name]));
    }
    for (const setting of table) {
      if (!COMMON.includes(setting.name)) all.append(this.field(setting));
    }
    filter.addEventListener("input", () => {
      const words = filter.value.trim().toLowerCase().replaceAll(" ", "_");
      for (const label of all.children) label.hidden = !label.dataset.name.includes(words);
    });
  }

  field(setting, models) {
    const label = document.createElement("label");
    label.dataset.name = setting.name;
    label.title = setting.help;
    label.append(setting.name.replaceAll("_", " "));
    const boolean = typeof setting.default === "boolean";
    const many = Array.isArray(setting.default) && setting.name === "augment";
    const choices = models ?? (many ? null : setting.choices);
    const input = document.createElement(choices ? "select" : "input");
    const initial = textOf(setting.name, setting.default);
    if (choices) {
      for (const one of choices) input.append(new Option(one, one));
      if (!choices.map(String).includes(initial)) input.prepend(new Option(initial, initial));
      input.value = initial;
    } else if (boolean) {
      input.type = "checkbox";
      input.checked = setting.default;
    } else {
      input.value = initial;
      input.spellcheck = false;
    }
    input.id = `setting-${setting.name}`;
    input.addEventListener("input", () => {
      if (setting.name === "perceptor") this.follow();
      this.mark(setting.name);
    });
    label.append(document.createElement("br"), input);
    const base = setting.default;
    this.inputs.set(setting.name, { input, initial, base, boolean, setting, label });
    return label;
  }

  /** What is not changed is shown as it is with the chosen perceptor. */
  follow() {
    const preset = this.presets[this.inputs.get("perceptor").input.value] ?? {};
    for (const [name, entry] of this.inputs) {
      if (name === "perceptor" || entry.setting.section === "edit") continue;
      const base = preset[name] ?? entry.setting.default;
      const kept = !this.same(entry) || base === entry.base;
      entry.base = base;
      entry.initial = textOf(name, base);
      if (!kept) {
        this.put(name, entry, base);
        entry.input.dispatchEvent(new Event("change"));
      }
      this.mark(name);
    }
  }

  same({ input, boolean, base, initial }) {
    return boolean ? input.checked === base : input.value.trim() === initial;
  }

  mark(name) {
    const { label } = this.inputs.get(name);
    label.classList.toggle("changed", name in this.changed());
  }

  /** What differs from the defaults: settings of painting, or of an edit. All of painting, with
   * perceptors whose defaults the server did not tell, unless `all` is false. */
  changed(ofEdits = false, all = !(this.inputs.get("perceptor").input.value in this.presets)) {
    const values = {};
    for (const [name, entry] of this.inputs) {
      if ((entry.setting.section === "edit") !== ofEdits) continue;
      if ((all && !ofEdits) || !this.same(entry)) values[name] = this.value(name);
    }
    return values;
  }

  value(name) {
    const { input, boolean, setting } = this.inputs.get(name);
    if (boolean) return input.checked;
    const text = input.value.trim();
    const number = text !== "" && Number.isFinite(Number(text));
    if (Array.isArray(setting.default) && setting.name === "steps") {
      return text.split(/[\s,]+/).map(Number);
    }
    if (setting.name === "perceptor") return text.split(",");
    return number && typeof setting.default === "number" ? Number(text) : text;
  }

  fill(values) {
    const { perceptor, ...others } = values;
    if (perceptor !== undefined) {
      const { input } = this.inputs.get("perceptor");
      const text = show(perceptor);
      const known = [...input.options].some((one) => one.value === text);
      if (!known) input.append(new Option(text, text));
      input.value = text;
      this.follow();
      this.mark("perceptor");
    }
    for (const [name, value] of Object.entries(others)) {
      const entry = this.inputs.get(name);
      if (!entry) continue;
      this.put(name, entry, value);
      this.mark(name);
    }
  }

  put(name, { input, boolean }, value) {
    if (boolean) input.checked = value;
    else input.value = textOf(name, value);
  }
}
