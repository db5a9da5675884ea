// The values of the settings' form, as the state holds them: {name: text, or true and false}. Only what
// was changed is sent; what each perceptor has instead of a default, the server says, and the form shows.

const SHEET = [512, 512];

const show = (value) =>
  Array.isArray(value) ? value.join(",") : value === null ? "" : String(value);

/** A value as its field shows it. */
export function shownAs({ name, default: initial }, value) {
  if (typeof initial === "boolean") return value;
  return name === "size" && Array.isArray(value) ? value.join("x") : show(value);
}

/** The settings that have fields; words have their own place. */
export const tableOf = (info) =>
  (info?.settings ?? []).filter((one) => !one.name.includes("prompt"));

const isEdit = (setting) => setting.section === "edit";

/** What a field shows that nobody changed. */
function baseOf(info, perceptor, setting) {
  const preset = isEdit(setting) || setting.name === "perceptor" ? {} : (info.presets[perceptor] ?? {});
  return shownAs(setting, preset[setting.name] ?? setting.default);
}

/** What a field shows that nobody changed, of the guides that are chosen. */
export const unchanged = ({ info, form }, setting) => baseOf(info, form.perceptor, setting);

const trimmed = (value) => (typeof value === "string" ? value.trim() : value);
const isChanged = (info, form, setting) =>
  trimmed(form[setting.name]) !== baseOf(info, form.perceptor, setting);

export function defaults(info) {
  const table = tableOf(info);
  const perceptor = show(table.find((one) => one.name === "perceptor")?.default ?? "");
  return Object.fromEntries(table.map((one) => [one.name, baseOf(info, perceptor, one)]));
}

/** `form` with another value; what was not changed follows another perceptor. */
export function withValue(info, form, name, value) {
  const next = { ...form, [name]: value };
  if (name !== "perceptor") return next;
  for (const setting of tableOf(info)) {
    if (setting.name === name || isChanged(info, form, setting)) continue;
    next[setting.name] = baseOf(info, value, setting);
  }
  return next;
}

/** `form` with what an order or a run had. */
export function filled(info, form, values) {
  const { perceptor, ...others } = values;
  let next = perceptor === undefined ? form : withValue(info, form, "perceptor", show(perceptor));
  next = { ...next };
  for (const setting of tableOf(info)) {
    if (setting.name in others) next[setting.name] = shownAs(setting, others[setting.name]);
  }
  return next;
}

function valueOf(form, { name, default: initial }) {
  if (typeof initial === "boolean") return form[name];
  const text = form[name].trim();
  if (name === "steps" && Array.isArray(initial)) return text.split(/[\s,]+/).map(Number);
  if (name === "perceptor") return text.split(",");
  const number = text !== "" && Number.isFinite(Number(text));
  return number && typeof initial === "number" ? Number(text) : text;
}

/** What differs from the defaults, as an order takes it: settings of painting, or those of an edit.
 * `all` of painting by default where the server did not tell the perceptor's own defaults. */
export function changed({ info, form }, edits = false, all = !(form.perceptor in info.presets)) {
  const asked = tableOf(info).filter(
    (one) => isEdit(one) === edits && ((all && !edits) || isChanged(info, form, one)),
  );
  return Object.fromEntries(asked.map((one) => [one.name, valueOf(form, one)]));
}

/** (width, height) of a sheet that nothing is painted on yet. */
export function sheetSize(form) {
  const size = /^(\d{1,4})\s*[x×, ]\s*(\d{1,4})$/.exec(form.size?.trim() ?? "");
  const [width, height] = size ? [Number(size[1]), Number(size[2])] : SHEET;
  return Math.min(width, height) >= 8 && Math.max(width, height) <= 4096 ? [width, height] : SHEET;
}
