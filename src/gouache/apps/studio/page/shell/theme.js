// Light, dark, or as the machine has it: kept for all visits.

import { $, put } from "../nodes.js";

const NAME = "gouache-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const CALLED = { auto: "Auto", light: "Light", dark: "Dark" };

function kept() {
  try {
    const theme = localStorage.getItem(NAME);
    return theme in NEXT ? theme : "auto";
  } catch {
    return "auto"; // no storage in this browser
  }
}

function keep(theme) {
  try {
    localStorage.setItem(NAME, theme);
  } catch {
    // it holds for this load of the page
  }
}

export function mount() {
  function show(theme) {
    document.documentElement.dataset.theme = theme;
    put($("theme").querySelector(".name"), { textContent: CALLED[theme] });
    $("theme").title = `Light or dark: ${CALLED[theme]}`;
  }

  $("theme").addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme];
    keep(theme);
    show(theme);
  });
  show(kept());
  return { update() {} };
}
