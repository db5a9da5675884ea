// Growing the picture: its edges are dragged outwards, and what is new is painted.

import { $, attributes, made, put } from "../nodes.js";

const STEP = 16; // pixels: what a generator paints at once
const ROOM = 0.62; // of the easel, for the picture, so that there is room to grow
const NAMES = { left: "to the left", right: "to the right", top: "upwards", bottom: "downwards" };
const OUTWARDS = { left: [-1, 0], right: [1, 0], top: [0, -1], bottom: [0, 1] };
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function mount({ store, easel }) {
  const { screen } = easel;
  const frame = $("frame");
  const sides = Object.keys(NAMES);
  const set = (side, value) =>
    store.dispatch({ type: "grown", [side]: Math.max(0, Math.round(value / STEP) * STEP) });

  for (const side of sides) {
    const [across, down] = OUTWARDS[side];
    const grip = made("button", { className: "grip", type: "button" });
    attributes(grip, { "data-side": side, "aria-label": `Grow ${NAMES[side]}`, title: `Drag to grow ${NAMES[side]}` });
    let from = null;
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      from = { x: event.clientX, y: event.clientY, value: store.state.grow[side] };
      event.preventDefault();
    });
    grip.addEventListener("pointermove", ({ clientX, clientY }) => {
      if (from) set(side, from.value + ((clientX - from.x) * across + (clientY - from.y) * down) / screen.scale);
    });
    for (const name of ["pointerup", "pointercancel"]) grip.addEventListener(name, () => (from = null));
    grip.addEventListener("keydown", (event) => {
      const [x, y] = KEYS[event.key] ?? [0, 0];
      const by = x * across + y * down;
      if (!by) return;
      set(side, store.state.grow[side] + by * STEP * (event.shiftKey ? 4 : 1));
      event.preventDefault();
    });
    frame.append(grip);
    $(`grow-${side}`).addEventListener("change", ({ target }) => set(side, Number(target.value) || 0));
  }

  function lay() {
    const { grow, hand } = store.state;
    if (hand.tool !== "grow") return;
    const { width, height } = easel.view;
    const { x, y } = screen.pointOf({ x: -grow.left, y: -grow.top });
    Object.assign(frame.style, {
      left: `${x}px`, top: `${y}px`,
      width: `${(width + grow.left + grow.right) * screen.scale}px`,
      height: `${(height + grow.top + grow.bottom) * screen.scale}px`,
    });
    put($("grow-size"), { textContent: `${width + grow.left + grow.right} × ${height + grow.top + grow.bottom}` });
  }

  let growing = false;

  function update({ grow, hand }) {
    const now = hand.tool === "grow";
    put(frame, { hidden: !now });
    put($("growing"), { hidden: !now });
    if (now && !growing) {
      screen.fit();
      screen.zoomTo(screen.scale * ROOM);
    } else if (growing && !now) screen.fit();
    growing = now;
    for (const side of sides) {
      if ($(`grow-${side}`) !== document.activeElement) put($(`grow-${side}`), { value: String(grow[side]) });
    }
    lay();
  }

  screen.listen(lay);
  return { update };
}
