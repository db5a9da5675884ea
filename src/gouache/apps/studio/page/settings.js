// The settings' form, made from what the server says of them. Only what was changed is sent.

const COMMON = ["size", "steps", "seed", "num_cutouts", "latent", "generator", "perceptor"];
const show = (value) =>
  Array.isArray(value) ? value.join(",") : value === null ? "" : String(value);

export class Settings {
  constructor(info, common, all, filter) {
    this.inputs = new Map();
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
    let initial = show(setting.default);
    if (setting.name === "size") initial = setting.default.join("x");
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
    input.addEventListener("input", () => this.mark(setting.name));
    label.append(document.createElement("br"), input);
    this.inputs.set(setting.name, { input, initial, boolean, setting, label });
    return label;
  }

  mark(name) {
    const { label } = this.inputs.get(name);
    label.classList.toggle("changed", name in this.changed());
  }

  /** What differs from the defaults: settings of painting, or of an edit. */
  changed(ofEdits = false) {
    const values = {};
    for (const [name, { input, initial, boolean, setting }] of this.inputs) {
      if ((setting.section === "edit") !== ofEdits) continue;
      const value = this.value(name);
      const same = boolean ? value === setting.default : input.value.trim() === initial;
      if (!same) values[name] = value;
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
    if (setting.name === "perceptor") return [text];
    return number && typeof setting.default === "number" ? Number(text) : text;
  }

  fill(values) {
    for (const [name, value] of Object.entries(values)) {
      const entry = this.inputs.get(name);
      if (!entry) continue;
      if (entry.boolean) entry.input.checked = value;
      else entry.input.value = name === "size" && Array.isArray(value) ? value.join("x") : show(value);
      this.mark(name);
    }
  }
}
