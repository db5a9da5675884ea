// All that was painted, day by day: sought, marked, and shown.

import { $, attributes, icon, keyed, made, put } from "../nodes.js";
import { brief, runOf, wordsOf } from "../selectors.js";
import { dayOf, galleryOf, isSeen, stateOf, thumbUrl, titleOf } from "./selectors.js";
import { arrows, button, fillStar, fillThumb, keysOf, star, thumb } from "./thumbs.js";

const ROW = 8; // pixels: pictures are as high as a multiple of it
const LINES = { 1: 4, 2: 6 }; // such rows, for one or two lines of words
const LETTER = 6.8; // pixels, and some are narrower

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const picture = (id) => ({ run: id, node: null });

export function mount({ store, actions }) {
  const dispatch = (type, told) => store.dispatch({ type, ...told });
  const list = $("gallery");
  const [sought, only, wide] = ["sought", "only", "gallery-wide"].map($);
  const [bar, count, zip, empty] = ["marked-bar", "marked-count", "marked-zip", "gallery-empty"].map($);
  const marked = () => store.state.gallery.marked;
  const days = new Map(); // run -> its day; a run is never of another one
  let known = []; // what the last update was of
  let last = ""; // the picture that was marked last: shift marks up to it
  let width = 0;

  list.setAttribute("aria-describedby", "gallery-keys");
  const settle = arrows(list, {
    ...keysOf(actions),
    x: ({ run }) => mark(run, false),
    Delete: ({ run }) => actions.discard(marked().includes(run) ? marked() : [run]),
  });

  function day(run) {
    if (!days.has(run.id)) days.set(run.id, dayOf(run.created));
    return days.get(run.id);
  }


  // Marking.

  function mark(id, through) {
    const before = marked();
    const on = !before.includes(id);
    const ids = galleryOf(store.state).map((run) => run.id);
    const [a, b] = [ids.indexOf(through ? last : id), ids.indexOf(id)];
    const range = a < 0 ? [id] : ids.slice(Math.min(a, b), Math.max(a, b) + 1);
    const others = before.filter((one) => !range.includes(one));
    dispatch("marked", { runs: on ? [...others, ...range] : others });
    last = id;
  }

  $("marked-none").addEventListener("click", () => dispatch("marked", { runs: [] }));
  $("mark-all").addEventListener("click", () =>
    dispatch("marked", { runs: galleryOf(store.state).map(({ id }) => id) }),
  );
  $("marked-like").addEventListener("click", () => {
    for (const id of marked()) if (!store.state.runs.get(id)?.favourite) actions.like(picture(id));
  });
  sought.addEventListener("input", () => dispatch("sifted", { sought: sought.value }));
  only.addEventListener("change", () => dispatch("sifted", { only: only.value }));
  wide.addEventListener("click", () => dispatch("sifted", { wide: !store.state.gallery.wide }));

  // Pictures.

  function make({ run: { id } }) {
    const shown = thumb(picture(id), actions.choose);
    shown.addEventListener("dblclick", () => actions.large(picture(id)));
    const box = made("input", { type: "checkbox", className: "mark" });
    box.addEventListener("click", (event) => mark(id, event.shiftKey));
    const large = button("enlarge", icon("enlarge"), () => actions.large(picture(id)));
    return made("li", {}, shown, star(() => actions.like(picture(id))), box, large);
  }

  function fill(item, { run, pressed, on, columns }) {
    if (item.run === run && item.pressed === pressed && item.on === on && item.columns === columns) return;
    const [shown, liked, box, large] = item.children;
    const name = brief(titleOf(run), 60);
    const state = stateOf(run);
    const parts = [run.film ? "Film" : "", state && capital(state), brief(titleOf(run), state ? 28 : 40)];
    const caption = parts.filter(Boolean).join(" · ");
    fillThumb(shown, {
      url: thumbUrl(run),
      caption,
      title: run.error ? `${wordsOf(run)}: ${run.error}` : wordsOf(run),
      pressed,
    });
    fillStar(liked, run.favourite, name);
    item.classList.toggle("blank", !thumbUrl(run));
    put(box, { checked: on });
    put(large, { hidden: !isSeen(run, null) });
    attributes(box, { "aria-label": `Mark ${name}` });
    attributes(large, { "aria-label": `See ${name} large`, title: "Large (space)" });
    Object.assign(item, { run, pressed, on, columns });
    const [across, down] = run.size;
    item.style.setProperty("--ratio", `${across} / ${down}`);
    item.style.gridRowEnd = `span ${Math.ceil((columns * down) / across / ROW) + LINES[caption.length * LETTER > columns ? 2 : 1]}`;
  }

  const makeDay = () => made("section", { className: "day" }, made("h3"), made("ul"));

  const fillDay = (section, { name, items }) => {
    const [head, pictures] = section.children;
    put(head, { textContent: name });
    keyed(pictures, items, ({ run }) => run.id, make, fill);
  };

  /** The width of a column, as the style sheet's grid has it. */
  function widthOf() {
    const pictures = list.querySelector("ul");
    const [first] = pictures ? getComputedStyle(pictures).gridTemplateColumns.split(" ") : [""];
    return Math.round(parseFloat(first)) || 150;
  }

  new ResizeObserver(() => {
    if (widthOf() === width) return;
    known = [];
    update(store.state);
  }).observe(list);

  function update(state) {
    const parts = [state.runs, state.gallery, state.shown];
    if (parts.every((part, at) => part === known[at])) return;
    known = parts;
    const { gallery } = state;
    const shown = runOf(state)?.id;
    width = widthOf();
    const groups = new Map();
    const runs = galleryOf(state);
    for (const run of runs) {
      const name = day(run);
      if (!groups.has(name)) groups.set(name, { name, items: [] });
      const on = gallery.marked.includes(run.id);
      groups.get(name).items.push({ run, on, pressed: run.id === shown, columns: width });
    }
    keyed(list, [...groups.values()], ({ name }) => name, makeDay, fillDay);
    settle();
    if (widthOf() !== width) { // the first pictures are there now, and tell it
      known = [];
      return update(state);
    }
    put(sought, { value: gallery.sought });
    put(only, { value: gallery.only });
    const none = gallery.sought || gallery.only !== "all" ? "Nothing like this." : "Pictures stay here, after a restart too.";
    put(empty, { hidden: runs.length > 0, textContent: none });
    attributes(wide, { "aria-pressed": gallery.wide });
    put(document.body.dataset, { gallery: gallery.wide ? "wide" : "" });
    put(bar, { hidden: !gallery.marked.length });
    put(count, { textContent: `${gallery.marked.length} marked` });
    attributes(zip, { href: `/api/zip?runs=${gallery.marked.join(",")}` });
    return undefined;
  }

  return { update };
}
