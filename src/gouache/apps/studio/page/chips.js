// The parts of the prompt as chips: weight and stop can be changed without knowing the grammar.

import { post } from "./api.js";

export class Chips {
  constructor(textarea, list, error) {
    Object.assign(this, { textarea, list, error });
    this.asked = 0;
    let timer;
    textarea.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.read(), 250);
    });
  }

  async read() {
    const text = this.textarea.value;
    const mine = ++this.asked;
    this.error.textContent = "";
    if (!text.trim()) return this.list.replaceChildren();
    try {
      const { stages } = await post("/api/prompts", { prompt: text });
      if (mine === this.asked) this.show(stages);
    } catch (error) {
      if (mine !== this.asked) return;
      this.error.textContent = error.message;
      this.list.replaceChildren();
    }
  }

  show(stages) {
    this.stages = stages;
    const chips = [];
    stages.forEach((parts, stage) =>
      parts.forEach((part) => {
        const chip = document.createElement("li");
        chip.classList.toggle("later", stage > 0);
        const words = document.createElement("span");
        words.textContent = words.title = part.text;
        chip.append(words, this.number("×", part, "weight"), this.number("stop", part, "stop"));
        chips.push(chip);
      }),
    );
    this.list.replaceChildren(...chips);
  }

  number(name, part, key) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "number";
    input.step = "0.1";
    input.value = part[key] ?? "";
    if (key === "stop") input.placeholder = "none";
    input.setAttribute("aria-label", `${key} of ${part.text}`);
    input.addEventListener("change", () => {
      part[key] = input.value === "" ? (key === "weight" ? 1 : null) : Number(input.value);
      this.write();
    });
    label.append(name, input);
    return label;
  }

  write() {
    const one = ({ source, weight, stop }) =>
      stop !== null ? `${source}:${weight}:${stop}` : weight !== 1 ? `${source}:${weight}` : source;
    const text = this.stages.map((parts) => parts.map(one).join(" | ")).join(" ^ ");
    this.textarea.value = text;
    this.textarea.dispatchEvent(new Event("written"));
  }
}
