// The comparison of two pictures: one slid over the other, beside it, or shining through it.

import { $, attributes, put } from "../nodes.js";

const WAYS = ["slide", "beside", "onion"];
const ASKS = {
  slide: "Where the first one ends",
  onion: "How much of the second one shines through",
};

export function mount({ store }) {
  const [dialog, two, split] = ["versus", "two", "split"].map($);
  const [before, after, names] = ["before", "after", "versus-names"].map($);
  const versus = () => store.state.versus;
  const away = () => store.dispatch({ type: "versus", versus: null });
  let share = 50; // percent: where the first one ends, or how much of the second one shines through
  let opened = false; // by what is to be compared; it closes before its event says so
  const turn = (way) => store.dispatch({ type: "turned", way });

  function cut() {
    const way = versus()?.way;
    before.style.clipPath = way === "slide" ? `inset(0 ${100 - share}% 0 0)` : "";
    after.style.opacity = "";
    before.style.opacity = way === "onion" ? String(1 - share / 100) : "";
    two.style.setProperty("--at", `${share}%`);
  }

  function slide(value) {
    share = Math.min(100, Math.max(0, value));
    put(split, { value: String(Math.round(share)) });
    cut();
  }

  function drag(event) {
    if (versus()?.way !== "slide" || !(event.buttons & 1)) return;
    const { left, width } = after.getBoundingClientRect(); // the picture's: it need not fill the window
    slide((100 * (event.clientX - left)) / width);
    event.preventDefault();
  }

  for (const way of WAYS) $(`versus-${way}`).addEventListener("click", () => turn(way));
  two.addEventListener("pointerdown", drag);
  two.addEventListener("pointermove", drag);
  split.addEventListener("input", () => slide(Number(split.value)));
  after.addEventListener("load", () => {
    two.style.setProperty("--ratio", `${after.naturalWidth / after.naturalHeight || 1}`);
  });
  $("swap").addEventListener("click", () => {
    const { first, second, way } = versus();
    store.dispatch({ type: "versus", versus: { first: second, second: first, way } });
  });
  $("close").addEventListener("click", away);
  dialog.addEventListener("close", away);
  dialog.addEventListener("keydown", (event) => {
    const at = "123".indexOf(event.key);
    if (event.key.toLowerCase() === "x") $("swap").click();
    else if (at >= 0 && event.key.length === 1) turn(WAYS[at]);
    else return;
    event.preventDefault();
  });

  function update(state) {
    if (!state.versus) {
      opened = false;
      if (dialog.open) dialog.close();
      return;
    }
    const { first, second, way } = state.versus;
    attributes(before, { src: first.url, alt: `First: ${first.name}` });
    attributes(after, { src: second.url, alt: `Second: ${second.name}` });
    put(two, { className: way });
    for (const one of WAYS) attributes($(`versus-${one}`), { "aria-pressed": one === way });
    if (way === "beside" && document.activeElement === split) $("versus-beside").focus();
    put(split, { hidden: way === "beside" });
    attributes(split, { "aria-label": ASKS[way] ?? null });
    const [one, other] = way === "onion" ? ["first", "shining through it"] : ["left", "right"]; // each below its half
    put(names, { className: way });
    for (const [at, text] of [`${one}: ${first.name}`, `${other}: ${second.name}`].entries()) put(names.children[at], { textContent: text });
    cut();
    if (opened) return;
    opened = true;
    slide(50);
    dialog.showModal();
    if (way !== "beside") split.focus();
  }

  return { update };
}
