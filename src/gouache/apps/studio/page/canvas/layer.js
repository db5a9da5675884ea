// Sheets over the picture to draw on: strokes, and a mask. What was drawn is never thrown away here:
// a sheet of another size takes it along, and each change can be undone and redone.

const UNDO = 30;

function copied(canvas) {
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}

/** What was done to all sheets, in order. Whole sheets are kept; they are small. */
export class Undo {
  constructor() {
    this.past = [];
    this.future = [];
  }

  remember(layer) {
    this.past.push({ layer, sheet: copied(layer.canvas) });
    if (this.past.length > UNDO) this.past.shift();
    this.future = [];
  }

  undo() {
    return this.move(this.past, this.future);
  }

  redo() {
    return this.move(this.future, this.past);
  }

  move(from, to) {
    const last = from.pop();
    if (!last) return false;
    to.push({ layer: last.layer, sheet: copied(last.layer.canvas) });
    last.layer.replace(last.sheet);
    return true;
  }

  forget(layer) {
    this.past = this.past.filter((one) => one.layer !== layer);
    this.future = this.future.filter((one) => one.layer !== layer);
  }
}

export class Layer {
  constructor(canvas, undo) {
    this.canvas = canvas;
    this.undo = undo;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.version = 0; // counts changes by hand
    this.nothing = true; // null: not known
    this.whole = null; // as drawn, while it is shown at another size
  }

  /** Whether there is nothing on it; rubbed out counts as nothing. */
  get empty() {
    if (this.nothing === null) {
      const { width, height } = this.canvas;
      const pixels = new Uint32Array(this.context.getImageData(0, 0, width, height).data.buffer);
      this.nothing = pixels.every((value) => value === 0);
    }
    return this.nothing;
  }

  changed() {
    this.version += 1;
    this.nothing = this.whole = null;
  }

  /** Another size; what was drawn is scaled to it. */
  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    const drawn = this.empty ? null : (this.whole ?? copied(this.canvas));
    this.canvas.width = width;
    this.canvas.height = height;
    if (drawn) this.context.drawImage(drawn, 0, 0, width, height);
    this.whole = drawn;
  }

  line(from, to, size, color, erase) {
    const pen = this.context;
    pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
    pen.strokeStyle = color;
    pen.lineWidth = size;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    pen.stroke();
    pen.globalCompositeOperation = "source-over";
    this.changed();
  }

  /** Shows `image`, at this sheet's size, and nothing else. */
  replace(image) {
    const { width, height } = this.canvas;
    this.context.clearRect(0, 0, width, height);
    this.context.drawImage(image, 0, 0, width, height);
    this.changed();
    if (image.width !== width || image.height !== height) this.whole = image;
  }

  /** Wipes it; this can be undone. */
  clear() {
    if (!this.empty) this.undo.remember(this);
    this.wipe();
  }

  /** Wipes it for good: what was on it is somewhere else now. */
  taken() {
    this.undo.forget(this);
    this.wipe();
  }

  wipe() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.changed();
    this.nothing = true;
  }

  blob() {
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }
}

/** Lets pointer and keyboard draw on `canvas`; `draw(from, to)` gets canvas pixels. Each stroke asks
 * `begin()` whether it may, and tells `end()`. */
export function listen(canvas, begin, draw, end) {
  let last = null;
  let cursor = null; // where the keyboard is
  let down = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * canvas.width) / box.width,
      y: ((event.clientY - box.top) * canvas.height) / box.height,
    };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (!begin()) return;
    last = place(event);
    draw(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const now = place(each);
      draw(last, now);
      last = now;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (last) end();
      last = null;
    });
  }
  const lift = () => {
    if (down) end();
    down = false;
  };
  canvas.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 0.1 : 0.02) * canvas.width;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    cursor ??= { x: canvas.width / 2, y: canvas.height / 2 };
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (event.repeat) return;
      if (down) lift();
      else if (begin()) {
        down = true;
        draw(cursor, cursor);
      }
    } else if (moves[event.key]) {
      const [x, y] = moves[event.key];
      const next = {
        x: Math.min(canvas.width, Math.max(0, cursor.x + x * step)),
        y: Math.min(canvas.height, Math.max(0, cursor.y + y * step)),
      };
      if (down) draw(cursor, next);
      cursor = next;
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", lift);
}
