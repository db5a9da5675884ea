// What the hand holds, and the keys.

import { listen } from "./layer.js";

const $ = (id) => document.getElementById(id);
const SWATCHES = ["#1b1a19", "#fffdf6", "#d8432b", "#e9a820", "#3d8a4a", "#2c6db5", "#7a4a2b"];
const KEYS = { b: "brush", e: "eraser", m: "mask", n: "unmask" };

/** Keys are for the picture from now on: on the button, space would press it again. */
export function toPicture() {
  if (document.activeElement?.matches("input, textarea, select")) return;
  $("easel").focus({ preventScroll: true });
}

export class Tools {
  constructor(easel) {
    this.easel = easel;
    this.tool = "brush";
    for (const color of SWATCHES) {
      const button = document.createElement("button");
      button.style.background = color;
      button.setAttribute("aria-label", `Colour ${color}`);
      button.addEventListener("click", () => ($("color").value = color));
      $("swatches").append(button);
    }
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.pick(button.dataset.tool));
    }
  }

  /** `mayDraw()` is asked before each stroke, `changed()` told after it; `actions` by their names. */
  listen(mayDraw, changed, actions) {
    const begin = () => {
      if (!mayDraw()) return false;
      this.easel.undo.remember(this.layer);
      return true;
    };
    listen(this.easel.strokes.canvas, begin, (from, to) => this.draw(from, to), changed);
    document.addEventListener("keydown", (event) => this.keys(event, actions));
    document.addEventListener("click", (event) => {
      const byHand = event.detail > 0 && event.target.closest("button");
      if (byHand && !event.target.closest("dialog, #chips, .drop")) toPicture();
    });
  }

  get layer() {
    return this.tool.endsWith("mask") ? this.easel.mask : this.easel.strokes;
  }

  pick(tool) {
    this.tool = tool;
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", button.dataset.tool === tool);
    }
  }

  draw(from, to) {
    const { layer } = this;
    const size = (Number($("brush-size").value) * layer.canvas.width) / 512;
    const color = layer === this.easel.mask ? "rgb(255 40 120)" : $("color").value;
    layer.line(from, to, size, color, ["eraser", "unmask"].includes(this.tool));
  }

  keys(event, actions) {
    const writing = event.target.matches("input:not([type=range]), textarea, select");
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if ($("versus").open) return;
    if (command && event.key === "Enter") {
      const field = document.activeElement;
      if (field?.matches("input")) {
        field.blur(); // so that a number that is being typed counts
        field.focus();
      }
      if (!event.repeat) actions.paint(event);
    } else if (writing) return;
    else if (command && key === "z") actions[event.shiftKey ? "redo" : "undo"]();
    else if (command && key === "y") actions.redo();
    else if (command || event.altKey) return;
    else if (event.key === " " && !event.target.matches("button, summary, .drop, a")) {
      if (!event.repeat && !$("pause").disabled) actions.pause(event);
    } else if (KEYS[event.key]) this.pick(KEYS[event.key]);
    else if ("[]".includes(event.key)) {
      $("brush-size").value = Number($("brush-size").value) * (event.key === "]" ? 1.2 : 0.8);
    } else return;
    event.preventDefault();
  }
}
