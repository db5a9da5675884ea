// What keys do and how words are written, by ? or the button.

import { $, made } from "../nodes.js";

const MEANS = [
  ["Paint, Paint new", "begins a picture from the words; the one that is shown stays in the gallery"],
  ["Go on", "paints the picture that is shown further: after a pause, with what you drew on it, or from a point of its history"],
  ["Choose", "takes one of several beginnings, pictures or tries"],
  ["Vary", "paints four new pictures that are like this one"],
  ["Evolve", "paints four children of two pictures"],
];
const FINGERS = [
  ["One finger", "draws, marks, or pulls a chip: its words count more or less"],
  ["Two fingers", "zoom and move the picture"],
  ["A press", "chooses a beginning, one of four, a try, or a picture"],
  ["Hold the edge", "with Grow: the picture gets larger on that side"],
];
const KEYS = [
  ["Words", [
    ["Enter in the words", "paint; with Shift a new line"],
    ["Ctrl Enter", "paint, from anywhere"],
    ["Space", "pause, and go on"],
    ["↑ ↓ in the words", "what you asked for before"],
    ["Pull a chip", "its words count more or less"],
  ]],
  ["Drawing", [
    ["B  E", "brush, eraser"],
    ["G  I", "fill, pick a colour"],
    ["M  N", "mark what is to change, unmark"],
    ["[  ]", "smaller, larger"],
    ["Shift", "a straight line"],
    ["Ctrl Z", "undo, with Shift redo"],
    ["Arrow keys, Enter", "move the brush, put it down and up"],
  ]],
  ["Looking", [
    ["Wheel, two fingers", "zoom"],
    ["Space and drag, H", "move the picture"],
    ["0  1  +  −", "fit, one to one, larger, smaller"],
    ["F", "the picture alone"],
    ["S", "save it"],
    ["X", "grow the picture"],
  ]],
  ["In history and gallery", [
    ["Arrow keys", "from picture to picture"],
    ["Enter", "on the easel"],
    ["Space", "large; arrow keys lead on"],
    ["F  X", "favourite, mark"],
    ["V  E", "vary, evolve with another"],
    ["C", "compare with another"],
    ["Delete", "throw away; Undo brings it back"],
  ]],
];
const FINGER = "With fingers"; // first on phones
const WORDS = [
  ["a house | snow", "both, together"],
  ["a house | snow:2", "twice as much snow"],
  ["a house | people:-0.5", "without people"],
  ["a house @left", "in the left half; also @top right, or @ and left, top, right, bottom as 0.1,0.5,0.4,0.9"],
  ["a house ^ a house at night", "first this, then that"],
];

export function mount() {
  const dialog = $("help");
  const table = (title, rows) =>
    made("section", { className: title === FINGER ? "fingers" : "" }, made("h3", { textContent: title }),
      made("dl", {}, ...rows.flatMap(([what, means]) =>
        [made("dt", {}, made("kbd", { textContent: what })), made("dd", { textContent: means })])));
  for (const [title, rows] of [["Paint or go on", MEANS], [FINGER, FINGERS], ...KEYS, ["How words are written", WORDS]]) $("help-text").append(table(title, rows));
  function open() {
    if (dialog.open) return;
    dialog.showModal();
    dialog.scrollTop = 0; // its buttons, which get the focus, are at its end
  }
  $("help-open").addEventListener("click", open);
  $("help-close").addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.target.matches("input:not([type=range], [type=checkbox]), textarea, select")) return;
    if (document.querySelector("dialog[open]")) return;
    open();
    event.preventDefault();
  });
  return { update() {} };
}
