// The hand on the picture: pointer, fingers, wheel and keyboard draw, pick, fill, move and zoom.

import { $, put } from "../nodes.js";
import { nodeOf, runOf } from "../selectors.js";
import { Stroke } from "./brush.js";
import { filled } from "./fill.js";
import { scaled } from "./layer.js";

const WIDTH = 512; // sizes of brushes are for a picture so wide
const STEP = 0.02; // of the picture's longer side, that an arrow key moves the brush; with Shift five times as far
const WHEEL = 50; // from so many pixels on it is a wheel and not two fingers on a pad
const NOTCH = 1.2; // the zoom of a notch of the wheel
const TAP = 250; // milliseconds in which a second finger turns a mark into a gesture
const HIDDEN = "This layer is hidden; show it in Layers to draw on it.";

const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

export function mount({ store, easel }) {
  const { screen } = easel;
  const [sheet, strokes, outline] = [$("paper"), $("strokes"), $("brush")];
  const fingers = new Map(); // pointer -> where it is in the window
  let stroke = null; // {made, layer, kind, pointer, at}
  let dragged = null; // where the pointer was that moves the picture
  let cursor = null; // where the keyboard is, in pixels of the picture
  let last = null; // where the last stroke ended: {layer, place}
  let penned = false; // a pen was seen: then a finger moves the picture
  let space = null; // {used}: the space bar is down

  const note = (text) => store.dispatch({ type: "noticed", note: text });
  const hand = () => store.state.hand;

  // Drawing.

  /** A place of the picture in the pixels of its layers. */
  function inLayer({ x, y }, press = 1) {
    const { mask, view } = easel;
    return { x: (x * mask.width) / view.width, y: (y * mask.height) / view.height, press };
  }

  function pressOf(event) {
    return hand().pressure && event.pointerType === "pen" ? event.pressure : 1;
  }

  const kindNow = () => (easel.masking ? "mask" : "strokes");
  const laid = (box) => screen.render(stroke.kind, box);

  /** Begins a stroke, if it may; `reach`: a straight line from where the last one ended. */
  function begin(place, press, reach = false) {
    const { state } = store;
    if (!state.ready) return false;
    if (!easel.masking && easel.sketch.hidden) {
      note(HIDDEN);
      return false;
    }
    if (state.notices.note === HIDDEN) note("");
    const { layer } = easel;
    const { tool, size, opacity, hardness, smoothing } = hand();
    const masking = easel.masking;
    const brush = {
      color: easel.ink, size: (size * layer.width) / WIDTH, smoothing,
      opacity: masking ? 1 : opacity, hardness: masking ? 1 : hardness,
      erase: ["eraser", "unmask"].includes(tool),
    };
    const at = inLayer(place, press);
    const from = reach && last?.layer === layer ? last.place : at;
    stroke = { made: new Stroke(layer, brush, from), layer, kind: kindNow(), at };
    laid(from === at ? stroke.made.begin() : stroke.made.straight(at));
    easel.drawing = true;
    easel.tint();
    return true;
  }

  function move(place, press, straight = false) {
    stroke.at = inLayer(place, press);
    laid(straight ? stroke.made.straight(stroke.at) : stroke.made.move(stroke.at));
    stroke.straight = straight;
  }

  function end() {
    if (!stroke) return;
    const { made, layer, at } = stroke;
    if (!stroke.straight) laid(made.end(at));
    last = { layer, place: at };
    stroke = null;
    easel.drawing = false;
    made.wet.release();
    easel.did(layer, made.wet.dry);
  }

  /** The stroke that was just begun was none. */
  function giveUp() {
    if (!stroke) return;
    laid(stroke.made.wet.undo());
    stroke = null;
    easel.drawing = false;
    easel.tell();
  }

  /** Takes a colour up; whoever chose the dropper for it has the tool of before again. */
  function pick(place) {
    const { tool, before } = hand();
    store.dispatch({ type: "held", color: easel.colorAt(place), tool: tool === "pick" ? before : tool });
  }

  function fill(place) {
    if (easel.sketch.hidden) return note(HIDDEN);
    const { layer } = easel;
    const color = filled(scaled(easel.together(), layer.width, layer.height), inLayer(place), hand().color);
    easel.change(layer, (pen) => {
      pen.globalAlpha = hand().opacity;
      pen.drawImage(color, 0, 0);
      pen.globalAlpha = 1;
    });
    return undefined;
  }

  /** What a tap or the Enter key does with the tool in hand: whether a stroke has begun. */
  function press(place, pressure, reach) {
    const { width, height } = easel.view;
    const inside = place.x >= 0 && place.y >= 0 && place.x < width && place.y < height;
    const { tool } = hand();
    if (tool === "pick") inside && pick(place);
    else if (tool === "fill") inside && fill(place);
    else if (!["hand", "grow"].includes(tool)) return begin(place, pressure, reach);
    return false;
  }

  // Pointers.

  function down(event) {
    if (event.target.closest("button, input, a, label")) return;
    if (event.pointerType === "pen") penned = true;
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (fingers.size === 2) {
        if (stroke && event.timeStamp - stroke.since < TAP) giveUp();
        else end();
        dragged = null;
      }
      if (fingers.size > 1) return;
    }
    sheet.setPointerCapture(event.pointerId);
    const moving = space || ["hand", "grow"].includes(hand().tool);
    const moves = event.button === 1 || moving || (event.pointerType === "touch" && penned);
    if (moves) {
      dragged = { x: event.clientX, y: event.clientY };
      if (space) space.used = true;
      event.preventDefault();
      return;
    }
    if (event.button !== 0 || stroke) return;
    outlined(event);
    cursor = null;
    const place = screen.placeOf(event);
    if (event.altKey && !easel.masking) return pick(place);
    if (press(place, pressOf(event), event.shiftKey)) {
      Object.assign(stroke, { pointer: event.pointerId, since: event.timeStamp });
    }
  }

  function pinch(event) {
    const before = [...fingers.values()];
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const after = [...fingers.values()];
    if (before.length !== 2) return;
    const box = sheet.getBoundingClientRect();
    const [from, to] = [middle(...before), middle(...after)];
    screen.zoomTo(screen.scale * (apart(...after) / Math.max(1, apart(...before))), from.x - box.left, from.y - box.top);
    screen.pan(to.x - from.x, to.y - from.y);
  }

  function moved(event) {
    outlined(event);
    if (fingers.size > 1 && fingers.has(event.pointerId)) return pinch(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (dragged) {
      screen.pan(event.clientX - dragged.x, event.clientY - dragged.y);
      dragged = { x: event.clientX, y: event.clientY };
    } else if (stroke && stroke.pointer === event.pointerId) {
      if (event.shiftKey) return move(screen.placeOf(event), pressOf(event), true);
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) move(screen.placeOf(each), pressOf(each));
    }
    return undefined;
  }

  function up(event) {
    fingers.delete(event.pointerId);
    dragged = null;
    if (stroke && stroke.pointer === event.pointerId) end();
  }

  sheet.addEventListener("pointerdown", down);
  sheet.addEventListener("pointermove", moved);
  for (const name of ["pointerup", "pointercancel"]) sheet.addEventListener(name, up);
  sheet.addEventListener("pointerleave", () => put(outline, { hidden: !stroke && !cursor }));
  sheet.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = sheet.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { deltaX, deltaY, deltaMode } = event;
    const wheel = deltaMode || (!deltaX && Math.abs(deltaY) >= WHEEL);
    const pinched = event.ctrlKey || event.metaKey;
    if (event.shiftKey) screen.pan(-deltaX - deltaY, 0);
    else if (wheel) screen.zoomTo(screen.scale * NOTCH ** -Math.sign(deltaY), x, y);
    else if (pinched) screen.zoomTo(screen.scale * 2 ** (-deltaY / 100), x, y);
    else screen.pan(-deltaX, -deltaY);
  }, { passive: false });

  // The outline of the brush, under the pointer or where the keyboard has it.

  function outlined(event) {
    if (event?.pointerType === "touch" && !stroke) return put(outline, { hidden: true });
    const box = sheet.getBoundingClientRect();
    return outlineAt({ x: event.clientX - box.left, y: event.clientY - box.top });
  }

  function outlineAt({ x, y }) {
    const { tool, size } = hand();
    const round = !["pick", "fill"].includes(tool);
    const width = round ? Math.max(4, (size * easel.view.width * screen.scale) / WIDTH) : 12;
    put(outline, { hidden: ["hand", "grow"].includes(tool) || Boolean(space) });
    outline.style.width = outline.style.height = `${width}px`;
    outline.style.transform = `translate(${x - width / 2}px, ${y - width / 2}px)`;
    outline.dataset.down = String(Boolean(stroke));
  }

  // The keyboard.

  function cursorMoved() {
    outlineAt(screen.pointOf(cursor));
    const { width, height } = screen;
    const { x, y } = screen.pointOf(cursor);
    const [dx, dy] = [x < 0 ? -x : Math.min(0, width - x), y < 0 ? -y : Math.min(0, height - y)];
    if (dx || dy) screen.pan(dx, dy);
  }

  strokes.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = easel.view;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    cursor ??= { x: width / 2, y: height / 2 };
    if (event.key === "Enter") {
      if (event.repeat) return;
      if (stroke) end();
      else press(cursor, 1, false);
    } else if (moves) {
      const step = (event.shiftKey ? 5 : 1) * STEP * Math.max(width, height);
      cursor = {
        x: Math.min(width, Math.max(0, cursor.x + moves[0] * step)),
        y: Math.min(height, Math.max(0, cursor.y + moves[1] * step)),
      };
      if (stroke) move(cursor, 1);
    } else return;
    event.preventDefault();
    cursorMoved();
  });
  strokes.addEventListener("focus", () => {
    if (!strokes.matches(":focus-visible")) return;
    cursor ??= { x: easel.view.width / 2, y: easel.view.height / 2 };
    cursorMoved();
  });
  strokes.addEventListener("blur", () => {
    if (stroke && stroke.pointer === undefined) end();
    cursor = null;
    put(outline, { hidden: true });
  });

  // The space bar moves the picture while it is down; `spaced` tells whether it did.
  const spaceDown = () => {
    space ??= { used: false };
    sheet.dataset.moves = "true";
  };
  const spaceUp = () => {
    const used = Boolean(space?.used);
    space = null;
    delete sheet.dataset.moves;
    return used;
  };
  addEventListener("blur", spaceUp);

  screen.listen(() => cursor && outlineAt(screen.pointOf(cursor)));

  function update(state) {
    const { tool } = state.hand;
    if (sheet.dataset.tool !== tool) sheet.dataset.tool = tool;
    if (cursor) outlineAt(screen.pointOf(cursor));
  }

  return { update, spaceDown, spaceUp, spaceIsDown: () => space !== null, end };
}
