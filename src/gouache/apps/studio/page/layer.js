// A sheet over the picture to draw on: strokes, or a mask. Undo keeps whole sheets; they are small.

const UNDO = 30;

export class Layer {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.empty = true;
    this.before = [];
  }

  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.empty = true;
    this.before = [];
  }

  remember() {
    const { width, height } = this.canvas;
    this.before.push({ pixels: this.context.getImageData(0, 0, width, height), empty: this.empty });
    if (this.before.length > UNDO) this.before.shift();
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
    if (!erase) this.empty = false;
  }

  picture(image) {
    this.context.globalCompositeOperation = "source-over";
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.empty = false;
  }

  undo() {
    const last = this.before.pop();
    if (!last) return false;
    this.context.putImageData(last.pixels, 0, 0);
    this.empty = last.empty;
    return true;
  }

  clear(forget = false) {
    if (forget) this.before = [];
    else if (!this.empty) this.remember();
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.empty = true;
  }

  blob() {
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }
}

/** Lets pointer and keyboard draw on `canvas`; `draw(from, to, first)` gets canvas pixels. */
export function listen(canvas, draw) {
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
    last = place(event);
    draw(last, last, true);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const now = place(each);
      draw(last, now, false);
      last = now;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => (last = null));
  }
  canvas.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 0.1 : 0.02) * canvas.width;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    cursor ??= { x: canvas.width / 2, y: canvas.height / 2 };
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      down = !down;
      if (down) draw(cursor, cursor, true);
    } else if (moves[event.key]) {
      const [x, y] = moves[event.key];
      const next = {
        x: Math.min(canvas.width, Math.max(0, cursor.x + x * step)),
        y: Math.min(canvas.height, Math.max(0, cursor.y + y * step)),
      };
      if (down) draw(cursor, next, false);
      cursor = next;
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => (down = false));
}
