// The rail of tools, what can be set of a brush, and the zoom.

import { $, attributes, made, put } from "../nodes.js";

const SWATCHES = ["#1b1a19", "#fffdf6", "#d8432b", "#e9a820", "#3d8a4a", "#2c6db5", "#7a4a2b"];
const NOTCH = 1.25; // of a zoom by a button
const SLIDERS = ["size", "opacity", "hardness", "smoothing"]; // ids: brush-size and so on
const SHARES = ["opacity", "hardness", "smoothing"]; // shown in percent

export function mount({ store, easel }) {
  const { screen } = easel;
  const hold = (told) => store.dispatch({ type: "held", ...told });
  const tools = [...document.querySelectorAll("[data-tool]")].filter((node) => node.matches("button"));
  for (const button of tools) {
    button.addEventListener("click", () => hold({ tool: button.dataset.tool }));
  }
  const swatches = SWATCHES.map((color) => {
    const button = made("button");
    button.style.background = color;
    attributes(button, { "aria-label": `Colour ${color}`, type: "button" });
    button.addEventListener("click", () => hold({ color }));
    return button;
  });
  $("swatches").append(...swatches);
  $("color").addEventListener("input", (event) => hold({ color: event.target.value }));
  $("pressure").addEventListener("change", (event) => hold({ pressure: event.target.checked }));
  for (const name of SLIDERS) {
    $(`brush-${name}`).addEventListener("input", ({ target }) =>
      hold({ [name]: Number(target.value) / (SHARES.includes(name) ? 100 : 1) }));
  }

  // Zoom.

  const zooms = {
    "zoom-in": () => screen.zoomTo(screen.scale * NOTCH),
    "zoom-out": () => screen.zoomTo(screen.scale / NOTCH),
    "zoom-fit": () => screen.fit(),
    "zoom-level": () => screen.zoomTo(1 / devicePixelRatio),
    fullscreen: toggleFull,
  };
  for (const [id, act] of Object.entries(zooms)) $(id).addEventListener("click", act);

  /** The canvas alone, on all of the screen; or as it was. */
  function toggleFull() {
    const full = document.body.dataset.full !== "true";
    document.body.dataset.full = String(full);
    attributes($("fullscreen"), { "aria-pressed": full });
    if (full) document.documentElement.requestFullscreen?.().catch(() => {}); // without it: the window
    else if (document.fullscreenElement) document.exitFullscreen();
  }

  document.addEventListener("fullscreenchange", () => {
    if (document.fullscreenElement) return;
    document.body.dataset.full = "false";
    attributes($("fullscreen"), { "aria-pressed": false });
  });

  function zoomed() {
    put($("zoom-level").firstChild, { data: `${Math.round(screen.scale * devicePixelRatio * 100)} %` });
    attributes($("zoom-fit"), { "aria-pressed": screen.fitted });
  }
  screen.listen(zoomed);
  zoomed();

  document.addEventListener("click", (event) => {
    const byHand = event.detail > 0 && event.target.closest("button");
    if (byHand && !event.target.closest("dialog, [popover], .saves, #chips, .drop, #tabs")) easel.focus();
  });

  function update({ hand }) {
    for (const button of tools) attributes(button, { "aria-pressed": button.dataset.tool === hand.tool });
    attributes($("easel-tools"), { "data-for": hand.tool });
    put($("color"), { value: hand.color });
    put($("pressure"), { checked: hand.pressure });
    for (const button of swatches) {
      attributes(button, { "aria-pressed": button.getAttribute("aria-label").endsWith(hand.color) });
    }
    for (const name of SLIDERS) {
      const value = String(Math.round(hand[name] * (SHARES.includes(name) ? 100 : 1)));
      put($(`brush-${name}`), { value });
      put($(`brush-${name}-is`), { textContent: SHARES.includes(name) ? `${value} %` : value });
    }
  }

  return { update };
}
