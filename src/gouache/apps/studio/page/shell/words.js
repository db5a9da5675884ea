// The words of the prompt, and its parts as chips: dragged to weigh, taken away, or added without knowing the
// grammar. Arrow up brings back what was asked for before.

import { $, attributes, icon, keyed, made, put } from "../nodes.js";
import { askedBefore } from "../selectors.js";
import { makePlaces } from "./places.js";

const PAUSE = 250; // milliseconds without a key until the parts are asked for
const PULL = 12; // pixels of a drag for a tenth of weight
const LINES = 3; // of the prompt that are shown at most
/** What the buttons beside the chips write, "‸" being where the words go. */
const ADDED = { "add-and": " | ‸", "add-without": " | ‸:-0.5", "add-then": " ^ ‸" };

export function mount({ store, server }) {
  const prompt = $("prompt");
  let asked = ""; // the words whose parts were asked for
  let timer;
  let browsed = null; // {list, at}: while what was asked before is leafed through

  const wrote = () => store.dispatch({ type: "wrote", field: "words", text: prompt.value });

  /** As many lines as the words need; what is below makes room. It does not follow the focus: a button would move
   * away from under the pointer that presses it. */
  function fit() {
    prompt.style.height = "";
    const { lineHeight, paddingTop, paddingBottom } = getComputedStyle(prompt);
    const most = LINES * parseFloat(lineHeight) + parseFloat(paddingTop) + parseFloat(paddingBottom) + 2;
    const needed = Math.min(prompt.scrollHeight + 2, most);
    prompt.style.height = needed > prompt.offsetHeight ? `${needed}px` : "";
  }

  prompt.addEventListener("input", () => {
    wrote();
    fit();
  });
  let across = 0;
  new ResizeObserver(() => {
    if (prompt.offsetWidth !== across) fit();
    across = prompt.offsetWidth;
  }).observe(prompt);

  /** Other words, as if they were typed: Ctrl Z in the box brings back what was there. */
  function retype(text) {
    prompt.select();
    if (document.execCommand("insertText", false, text)) return;
    store.dispatch({ type: "wrote", field: "words", text });
  }

  // What was asked before.

  function leaf(by) {
    browsed ??= { list: [...askedBefore(store.state).filter((one) => one !== prompt.value), prompt.value] };
    const { list, at = list.length - 1 } = browsed;
    const next = at + by;
    if (!(next in list)) return next >= 0;
    browsed.at = next;
    const kept = browsed;
    retype(list[next]);
    browsed = kept; // writing ends the leafing, but this writing
    prompt.setSelectionRange(by < 0 ? 0 : list[next].length, by < 0 ? 0 : list[next].length);
    return true;
  }

  prompt.addEventListener("input", () => (browsed = null));
  prompt.addEventListener("keydown", (event) => {
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { selectionStart: start, selectionEnd: end, value } = prompt;
    const up = event.key === "ArrowUp" && start === end && (start === 0 || start === value.length && !value.includes("\n"));
    const down = event.key === "ArrowDown" && browsed && start === end;
    if (!(up || down)) return;
    leaf(up ? -1 : 1);
    event.preventDefault();
  });

  // The parts.

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

  const part = (item) => store.state.parsed.stages[item.stage]?.[item.at];
  const weigh = (item, key, value) =>
    store.dispatch({ type: "weighed", stage: item.stage, part: item.at, key, value });

  const places = makePlaces((item) => part(item)?.place, (item, place) => weigh(item, "place", place));

  function number(key, item, tip, ...name) {
    const input = made("input", { type: "number", step: "0.1" });
    if (key === "stop") input.placeholder = "none";
    input.addEventListener("change", () => {
      const none = key === "weight" ? 1 : null;
      weigh(item, key, input.value === "" ? none : Number(input.value));
    });
    const label = made("label", {}, ...name, input);
    attributes(label, { "data-tip": tip });
    return label;
  }

  /** Pulling the words to the right makes them count more, to the left less, and below nothing avoids them. */
  function pulls(handle, item) {
    let from = null;
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, weight: part(item)?.weight ?? 1 };
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!from) return;
      const tenths = Math.round(from.weight * 10 + (event.clientX - from.x) / PULL);
      if (part(item) && tenths / 10 !== part(item).weight) weigh(item, "weight", tenths / 10);
    });
    for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, () => (from = null));
    handle.addEventListener("dblclick", () => weigh(item, "weight", 1));
  }

  function make(item) {
    const words = made("span", { className: "pull" });
    pulls(words, item);
    const away = made("button", { className: "away" }, icon("close"));
    away.addEventListener("click", () => store.dispatch({ type: "unsaid", stage: item.stage, part: item.at }));
    const [word, sign] = [["word", "weight"], ["sign", "×"]].map(([className, textContent]) => made("span", { className, textContent }));
    const weight = number("weight", item, "Weight: how much this wish counts. 1 is usual, 2 twice as much, below 0 it is avoided", word, sign);
    const stop = number("stop", item, "Stop: how well it has to be seen until it counts no more", "stop");
    return made("li", {}, words, weight, stop, places.make(item), away);
  }

  function fill(chip, { stage, at, part: { text, weight, stop, place } }) {
    const [words, weighed, stopped, placed, away] = chip.children;
    chip.classList.toggle("later", stage > 0);
    chip.classList.toggle("first", stage > 0 && at === 0);
    chip.classList.toggle("avoided", weight < 0);
    put(words, { textContent: text });
    attributes(words, { "data-tip": `${text}: pull it to the right and it counts more, to the left less` });
    put(stopped, { hidden: stop === null });
    for (const [label, key, value] of [[weighed, "weight", weight], [stopped, "stop", stop]]) {
      const input = label.lastChild;
      attributes(input, { "aria-label": `${key} of ${text}` });
      if (input !== document.activeElement) put(input, { value: String(value ?? "") });
    }
    places.fill(placed, text, place);
    attributes(away, { "aria-label": `Take “${text}” away`, "data-tip": "Take this wish away" });
  }

  for (const [id, text] of Object.entries(ADDED)) {
    $(id).addEventListener("click", () => {
      const words = prompt.value.trimEnd();
      const [before, after] = text.split("‸");
      const start = words ? `${words}${before}` : "";
      retype(words ? `${start}${after}` : after);
      prompt.focus();
      prompt.setSelectionRange(start.length, start.length);
    });
  }

  function update({ draft, parsed, ready }) {
    if (prompt.value !== draft.words) {
      browsed = null;
      prompt.value = draft.words;
      fit();
    }
    put($("prompt-error"), { textContent: parsed.error });
    const chips = parsed.stages.flatMap((parts, stage) => parts.map((one, at) => ({ stage, at, part: one })));
    keyed($("chips"), chips, ({ stage, at }) => `${stage}.${at}`, make, fill);
    if (draft.words === parsed.words) asked = draft.words;
    if (!ready || draft.words === asked) return;
    asked = draft.words;
    clearTimeout(timer);
    timer = setTimeout(parse, PAUSE, draft.words);
  }

  return { retype, update };
}
