// A brush: a stroke of the hand becomes marks on a layer, as they are made.

import { newCanvas, Wet } from "./layer.js";

const HARD = 0.99; // from this hardness on a stroke is a line
const LIGHTEST = 0.12; // of its size, a brush that is hardly pressed
const SPACING = 0.12; // of its size, between two marks of a soft brush
const PULL = 0.85; // how far the smoothest stroke stays behind the hand

const mean = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, press: (a.press + b.press) / 2 });
const mixed = (a, b, share) => ({
  x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share, press: a.press + (b.press - a.press) * share,
});

/** A round mark that is solid up to `hardness` of its radius. */
function softMark(size, hardness, color) {
  const side = Math.max(2, Math.ceil(size));
  const mark = newCanvas(side, side);
  const pen = mark.getContext("2d");
  const fade = pen.createRadialGradient(side / 2, side / 2, 0, side / 2, side / 2, side / 2);
  for (let k = 0; k <= 8; k += 1) {
    const alpha = Math.round(255 * (1 - k / 8) ** 2).toString(16).padStart(2, "0");
    fade.addColorStop(Math.min(1, hardness + ((1 - hardness) * k) / 8), `${color}${alpha}`);
  }
  pen.fillStyle = fade;
  pen.fillRect(0, 0, side, side);
  return mark;
}

/** A stroke under way. Places are {x, y, press}: pixels of the layer, and how hard it is pressed, 0 to 1.
 * `brush`: {color: "#rrggbb", size in pixels, opacity, hardness, smoothing: 0 to 1, erase}. Each method returns the
 * box of what changed. */
export class Stroke {
  constructor(layer, brush, at) {
    Object.assign(this, { layer, brush, first: at, now: at, bend: at, past: 0 });
    this.wet = new Wet(layer, brush.opacity, brush.erase);
    this.mark = brush.hardness < HARD ? softMark(brush.size, brush.hardness, brush.color) : null;
  }

  begin() {
    return this.segment([this.first, this.first]);
  }

  /** The hand has moved. The brush follows it, the later the smoother. */
  move(to) {
    this.now = mixed(this.now, to, 1 - PULL * this.brush.smoothing);
    return this.bow(this.now);
  }

  /** The stroke ends where the hand is. */
  end(to) {
    const steps = this.brush.smoothing ? 4 : 1;
    const boxes = [];
    const from = this.now;
    for (let k = 1; k <= steps; k += 1) boxes.push(this.bow(mixed(from, to, k / steps)));
    boxes.push(this.segment([this.last ?? this.first, to]));
    return joined(boxes);
  }

  /** Instead of all that was drawn: a straight line to here. */
  straight(to) {
    const before = this.wet.dry.size ? this.wet.undo() : null;
    this.past = 0;
    const after = this.segment([this.first, to]);
    Object.assign(this, { now: to, bend: to, last: to });
    return joined([before, after].filter(Boolean));
  }

  /** A bow from the middle of the last two places to the middle of this one and the last. */
  bow(to) {
    const [from, bend] = [this.last ?? this.first, this.bend];
    const end = mean(bend, to);
    const length = Math.hypot(end.x - from.x, end.y - from.y);
    const count = Math.min(48, Math.max(1, Math.ceil(length / Math.max(2, this.brush.size / 6))));
    const places = [];
    for (let k = 0; k <= count; k += 1) {
      const share = k / count;
      places.push(mixed(mixed(from, bend, share), mixed(bend, end, share), share));
    }
    Object.assign(this, { last: end, bend: to });
    return this.segment(places);
  }

  width({ press }) {
    return Math.max(0.5, this.brush.size * (LIGHTEST + (1 - LIGHTEST) * press));
  }

  segment(places) {
    const radius = Math.max(...places.map((place) => this.width(place))) / 2 + 2;
    const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
    const box = {
      left: Math.min(...xs) - radius, right: Math.max(...xs) + radius,
      top: Math.min(...ys) - radius, bottom: Math.max(...ys) + radius,
    };
    if (this.mark) {
      const marks = this.spaced(places);
      if (marks.length) this.wet.paint(box, (pen) => this.dab(pen, marks));
    } else this.wet.paint(box, (pen) => this.line(pen, places));
    this.layer.changed();
    return box;
  }

  line(pen, places) {
    pen.strokeStyle = pen.fillStyle = this.brush.color;
    pen.lineCap = pen.lineJoin = "round";
    const [first] = places;
    pen.beginPath(); // a line of no length is none
    pen.arc(first.x, first.y, this.width(first) / 2, 0, 2 * Math.PI);
    pen.fill();
    for (let k = 1; k < places.length; k += 1) {
      pen.lineWidth = this.width(mean(places[k - 1], places[k]));
      pen.beginPath();
      pen.moveTo(places[k - 1].x, places[k - 1].y);
      pen.lineTo(places[k].x, places[k].y);
      pen.stroke();
    }
  }

  /** Where marks are set along places; `past` is the way that was gone since the last one. */
  spaced(places) {
    const marks = [];
    if (places.length === 2 && places[0] === places[1]) return places.slice(1);
    for (let k = 1; k < places.length; k += 1) {
      const [from, to] = [places[k - 1], places[k]];
      const length = Math.hypot(to.x - from.x, to.y - from.y);
      const gap = Math.max(0.5, this.width(to) * SPACING);
      let at = gap - this.past;
      for (; at <= length; at += gap) marks.push(mixed(from, to, at / length));
      this.past = length - (at - gap);
    }
    return marks;
  }

  dab(pen, marks) {
    for (const mark of marks) {
      const width = this.width(mark);
      pen.drawImage(this.mark, mark.x - width / 2, mark.y - width / 2, width, width);
    }
  }
}

export function joined(boxes) {
  return {
    left: Math.min(...boxes.map(({ left }) => left)), top: Math.min(...boxes.map(({ top }) => top)),
    right: Math.max(...boxes.map(({ right }) => right)), bottom: Math.max(...boxes.map(({ bottom }) => bottom)),
  };
}
