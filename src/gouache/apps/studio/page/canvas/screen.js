// What of the easel is seen: zoom and place of the picture, and the sheets over it in the pixels of the screen.
// However large they are, no more than what is seen is drawn here, and of a stroke only its box.

import { isEmptyBox, penOf, within } from "./layer.js";
import { $, put } from "../nodes.js";

const MARGIN = 10; // CSS pixels around a picture that fits
const NARROW = 576; // CSS pixels: a phone. There the picture is at the top, and what is said has the room below it
const IN_SIGHT = 56; // CSS pixels of it that cannot be moved away
const PIXELS = 12; // from so many screen pixels on, each pixel of the picture is seen as one
const LARGE = 2048 * 2048; // pixels of a picture of which only what is seen is given to the browser to show: of a
// canvas that it shows it has copies, two or three of all its pixels
const ZOOM = { min: 0.02, max: 64 };
const STRIPE = 4; // pixels of the marching edge
const MARCH = 140; // milliseconds between two of its steps

export class Screen {
  constructor(easel) {
    this.easel = easel;
    this.box = $("paper");
    const [under, seen, strokes, mask, ants] = ["under", "seen", "strokes", "mask", "ants"].map($);
    this.nodes = { under, view: easel.view, seen, strokes, mask, ants };
    Object.assign(this, { scale: 1, x: 0, y: 0, fitted: true, told: [], seen: null, still: true, shift: 0 });
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    const resized = () => this.resized();
    new ResizeObserver(resized).observe(this.box);
    this.resized();
    setInterval(() => this.march(), MARCH);
  }

  /** Calls `hear()` whenever zoom or place are others. */
  listen(hear) {
    this.told.push(hear);
  }

  resized() {
    const { clientWidth: width, clientHeight: height } = this.box;
    const [dx, dy] = this.width ? [(width - this.width) / 2, (height - this.height) / 2] : [0, 0];
    Object.assign(this, { width, height });
    if (this.fitted) this.fit();
    else this.pan(dx, dy);
  }

  /** All of the picture, as large as it goes. */
  fit() {
    const { width, height } = this.easel.view;
    const room = [(this.width - 2 * MARGIN) / width, (this.height - 2 * MARGIN) / height];
    this.scale = Math.max(ZOOM.min, Math.min(...room));
    this.x = (this.width - width * this.scale) / 2;
    this.y = this.width <= NARROW && this.height > this.width ? MARGIN : (this.height - height * this.scale) / 2;
    this.fitted = true;
    this.lay();
  }

  /** Another scale (screen pixels for one of the picture), a point of the screen staying where it is. */
  zoomTo(scale, x = this.width / 2, y = this.height / 2) {
    const next = Math.min(ZOOM.max, Math.max(ZOOM.min, scale));
    const factor = next / this.scale;
    this.x = x - (x - this.x) * factor;
    this.y = y - (y - this.y) * factor;
    this.scale = next;
    this.pan(0, 0);
  }

  pan(dx, dy) {
    const { width, height } = this.easel.view;
    const kept = (at, size, room) =>
      Math.min(room - Math.min(IN_SIGHT, size), Math.max(Math.min(IN_SIGHT, size) - size, at));
    this.x = kept(this.x + dx, width * this.scale, this.width);
    this.y = kept(this.y + dy, height * this.scale, this.height);
    this.fitted = false;
    this.lay();
  }

  /** Where a point of the window is, in pixels of the picture. */
  placeOf({ clientX, clientY }) {
    const box = this.box.getBoundingClientRect();
    return { x: (clientX - box.left - this.x) / this.scale, y: (clientY - box.top - this.y) / this.scale };
  }

  /** Where a point of the picture is, in CSS pixels from the easel's corner. */
  pointOf({ x, y }) {
    return { x: this.x + x * this.scale, y: this.y + y * this.scale };
  }

  /** Lays all sheets where they are seen. */
  lay() {
    const dots = devicePixelRatio; // of the screen, for one CSS pixel
    const { width, height } = this.easel.view;
    const [left, top, right, bottom] = [
      this.x, this.y, this.x + width * this.scale, this.y + height * this.scale,
    ].map((value) => Math.round(value * dots));
    const whole = { left, top, right, bottom };
    const seen = within(whole, Math.round(this.width * dots), Math.round(this.height * dots));
    this.large = width * height > LARGE;
    this.nodes.view.style.visibility = this.large ? "hidden" : "";
    put(this.nodes.seen, { hidden: !this.large });
    for (const [name, node] of Object.entries(this.nodes)) {
      const all = name === "view" || name === "under";
      const box = all ? whole : seen;
      const [wide, high] = [Math.max(1, box.right - box.left), Math.max(1, box.bottom - box.top)];
      if (!all) put(node, node === this.nodes.seen && !this.large ? { width: 1, height: 1 } : { width: wide, height: high });
      const places = { left: box.left, top: box.top, width: wide, height: high };
      for (const [side, value] of Object.entries(places)) node.style[side] = `${value / dots}px`;
    }
    this.nodes.view.style.imageRendering = this.scale * dots >= PIXELS ? "pixelated" : "auto";
    const { width: across, height: down } = this.easel.mask;
    this.seen = {
      x: left - seen.left, y: top - seen.top, across: (right - left) / across, down: (bottom - top) / down,
    };
    this.look();
    this.render();
    for (const hear of this.told) hear();
  }

  /** The picture is another one, or is seen elsewhere: of a large one what is seen is drawn. */
  look() {
    if (!this.large) return;
    const { view, seen } = this.nodes;
    const pen = penOf(seen);
    const { x, y, across, down } = this.seen;
    const { width, height } = this.easel.mask; // as `seen` counts
    pen.clearRect(0, 0, seen.width, seen.height);
    pen.imageSmoothingEnabled = (across * width) / view.width < PIXELS;
    pen.imageSmoothingQuality = "medium";
    pen.drawImage(view, x, y, across * width, down * height);
  }

  /** How much of the picture is seen under the sketches, 0 to 1. */
  fadeTo(share) {
    for (const node of [this.nodes.view, this.nodes.seen]) node.style.opacity = share;
  }

  /** Draws what is seen of the layers, or of one kind of them, in a box of their pixels. */
  render(kind = "", box = null) {
    if (kind !== "mask") this.draw(this.nodes.strokes, this.easel.shown, box);
    if (kind === "strokes") return;
    this.draw(this.nodes.mask, [{ layer: this.easel.mask, opacity: 1 }], box);
    this.still = false;
    delete this.nodes.ants.dataset.step; // the edge is not that of what is drawn, till it marches on
  }

  draw(node, sheets, box) {
    const pen = node.getContext("2d", { willReadFrequently: true });
    const { x, y, across, down } = this.seen;
    const all = { left: 0, top: 0, right: node.width, bottom: node.height };
    const seen = !box ? all : within({
      left: x + box.left * across, right: x + box.right * across,
      top: y + box.top * down, bottom: y + box.bottom * down,
    }, node.width, node.height, 2);
    if (isEmptyBox(seen)) return;
    const wide = { // in the layers' pixels
      left: (seen.left - x) / across, right: (seen.right - x) / across,
      top: (seen.top - y) / down, bottom: (seen.bottom - y) / down,
    };
    pen.save();
    pen.beginPath();
    pen.rect(seen.left, seen.top, seen.right - seen.left, seen.bottom - seen.top);
    pen.clip();
    pen.clearRect(seen.left, seen.top, seen.right - seen.left, seen.bottom - seen.top);
    pen.imageSmoothingEnabled = across < PIXELS;
    pen.imageSmoothingQuality = across < 0.6 ? "medium" : "low";
    for (const { layer, opacity } of sheets) {
      pen.globalAlpha = opacity;
      layer.show(pen, this.seen, wide);
    }
    pen.restore();
  }

  /** A step of the stripes along the edge of the mask. */
  march() {
    const { ants, mask } = this.nodes;
    if (document.hidden || (this.still && (this.calm.matches || !this.edge))) return;
    if (!this.still) this.edge = this.easel.mask.empty ? null : edgeOf(mask);
    this.still = true;
    const pen = ants.getContext("2d");
    pen.globalCompositeOperation = "copy";
    pen.fillStyle = "#0000";
    pen.fillRect(0, 0, 1, 1); // wipes all
    if (!this.edge) return;
    pen.drawImage(this.edge, 0, 0);
    pen.globalCompositeOperation = "source-in";
    this.shift = this.calm.matches ? 0 : (this.shift + 1) % (2 * STRIPE);
    const stripes = pen.createPattern(stripe(), "repeat");
    stripes.setTransform(new DOMMatrix().translate(this.shift, 0));
    pen.fillStyle = stripes;
    pen.fillRect(0, 0, ants.width, ants.height);
    ants.dataset.step = this.shift;
  }
}

function stripe() {
  const tile = Object.assign(document.createElement("canvas"), { width: 2 * STRIPE, height: 2 * STRIPE });
  const pen = tile.getContext("2d");
  for (let row = 0; row < 2 * STRIPE; row += 1) {
    for (let column = 0; column < 2 * STRIPE; column += 1) {
      pen.fillStyle = (2 * row + column) % (2 * STRIPE) < STRIPE ? "#fff" : "#111";
      pen.fillRect(column, row, 1, 1);
    }
  }
  return tile;
}

/** The edge of what is on a canvas, two pixels wide. */
function edgeOf(canvas) {
  const { width, height } = canvas;
  const sheet = () => Object.assign(document.createElement("canvas"), { width, height });
  const inner = sheet();
  const pen = inner.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  pen.globalCompositeOperation = "destination-in";
  for (const [x, y] of [[-2, 0], [2, 0], [0, -2], [0, 2]]) pen.drawImage(canvas, x, y);
  const edge = sheet();
  const brush = edge.getContext("2d");
  brush.drawImage(canvas, 0, 0);
  brush.globalCompositeOperation = "destination-out";
  brush.drawImage(inner, 0, 0);
  return edge;
}
