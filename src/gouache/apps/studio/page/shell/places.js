// Where in the picture a part of the prompt is meant: the button of a chip, and the nine places that it opens.

import { attributes, icon, made, put } from "../nodes.js";

const PLACES = [
  "top left", "top", "top right",
  "left", "center", "right",
  "bottom left", "bottom", "bottom right",
];
const ANYWHERE = "anywhere";
const MOVES = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -3, ArrowDown: 3 };

/** `placeOf(item)` tells a part's place, "" for anywhere; `choose(item, place)` gives it another. */
export function makePlaces(placeOf, choose) {
  let asking = null; // {item, button}: whose place is chosen
  const cells = PLACES.map((place) => cell(place));
  const anywhere = cell("", { textContent: ANYWHERE });
  const grid = made("div", { className: "grid" }, ...cells);
  const picker = made("dialog", { id: "places" }, grid, anywhere);
  picker.popover = "auto"; // Escape and a click beside it close it
  document.body.append(picker);

  function cell(place, more = {}) {
    const button = made("button", { title: place, ...more });
    attributes(button, { "aria-label": place || ANYWHERE });
    button.addEventListener("click", () => {
      const { item, button: opener } = asking;
      choose(item, place);
      picker.hidePopover();
      opener.focus();
    });
    return button;
  }

  picker.addEventListener("keydown", (event) => {
    const at = cells.indexOf(document.activeElement);
    const to = at < 0 ? (event.key === "ArrowUp" ? 7 : null) : at + (MOVES[event.key] ?? NaN);
    const beside = Math.abs(MOVES[event.key]) === 1 && Math.floor(to / 3) !== Math.floor(at / 3);
    if (to === null || Number.isNaN(to) || beside || to < 0) return;
    (cells[to] ?? anywhere).focus();
    event.preventDefault();
  });

  function open(item, button) {
    asking = { item, button };
    const now = placeOf(item);
    const all = [...cells, anywhere];
    for (const one of all) attributes(one, { "aria-pressed": one.title === now });
    attributes(picker, { "aria-label": button.getAttribute("aria-label") });
    picker.showPopover();
    const { left, bottom } = button.getBoundingClientRect();
    const most = document.documentElement.clientWidth - picker.offsetWidth - 4;
    picker.style.left = `${Math.max(4, Math.min(left, most))}px`;
    picker.style.top = `${bottom + 4}px`;
    (all.find((one) => one.title === now) ?? cells[4]).focus();
  }

  /** The button of a chip. */
  function make(item) {
    const button = made("button", { className: "place" }, icon("place"), made("span"));
    attributes(button, { "aria-haspopup": "dialog" });
    button.addEventListener("click", () => open(item, button));
    return button;
  }

  function fill(button, text, place) {
    put(button.lastChild, { textContent: place || ANYWHERE, className: place ? "" : "word" });
    attributes(button, { "aria-label": `Place of ${text}: ${place || ANYWHERE}`, "data-tip": "Place: where in the picture it is to be" });
  }

  return { make, fill };
}
