// The words of the prompt, with its parts as chips so that weight and stop can be changed without knowing
// the grammar.

import { $, attributes, keyed, made, put } from "../nodes.js";

const PAUSE = 250; // milliseconds without a key until the parts are asked for

export function mount({ store, server }) {
  let asked = ""; // the words whose parts were asked for
  let timer;

  $("prompt").addEventListener("input", () =>
    store.dispatch({ type: "wrote", field: "words", text: $("prompt").value }),
  );

  async function parse(words) {
    const told = (more) => store.dispatch({ type: "parsed", words, ...more });
    if (!words.trim()) return told({});
    try {
      const { stages } = await server.post("/api/prompts", { prompt: words });
      told({ stages });
    } catch (error) {
      told({ error: error.message });
    }
  }

  function number(name, key, { stage, at }) {
    const input = made("input", { type: "number", step: "0.1" });
    if (key === "stop") input.placeholder = "none";
    input.addEventListener("change", () => {
      const none = key === "weight" ? 1 : null;
      const value = input.value === "" ? none : Number(input.value);
      store.dispatch({ type: "weighed", stage, part: at, key, value });
    });
    return made("label", {}, name, input);
  }

  const make = (item) =>
    made("li", {}, made("span"), number("×", "weight", item), number("stop", "stop", item));

  function fill(chip, { stage, part }) {
    const [words, ...labels] = chip.children;
    chip.classList.toggle("later", stage > 0);
    put(words, { textContent: part.text, title: part.text });
    for (const [input, key] of [[labels[0].lastChild, "weight"], [labels[1].lastChild, "stop"]]) {
      attributes(input, { "aria-label": `${key} of ${part.text}` });
      if (input !== document.activeElement) put(input, { value: String(part[key] ?? "") });
    }
  }

  function update({ draft, parsed, ready }) {
    put($("prompt"), { value: draft.words });
    put($("prompt-error"), { textContent: parsed.error });
    const chips = parsed.stages.flatMap((parts, stage) => parts.map((part, at) => ({ stage, at, part })));
    keyed($("chips"), chips, ({ stage, at }) => `${stage}.${at}`, make, fill);
    if (draft.words === parsed.words) asked = draft.words;
    if (!ready || draft.words === asked) return;
    asked = draft.words;
    clearTimeout(timer);
    timer = setTimeout(parse, PAUSE, draft.words);
  }

  /** Other words, as if they were typed: Ctrl Z in the box brings back what was there. */
  function retype(text) {
    $("prompt").select();
    if (document.execCommand("insertText", false, text)) return;
    store.dispatch({ type: "wrote", field: "words", text });
  }

  return { retype, update };
}
