// A sheet to draw on, over the picture. It is kept in tiles: there is memory only where something was drawn, and
// what a stroke changes, shows and can undo is a few tiles, however large the picture.

export const TILE = 256;

const keyOf = (column, row) => row * 4096 + column;
const columnOf = (key) => key % 4096;
const rowOf = (key) => Math.floor(key / 4096);

export function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** The pen of a canvas whose pixels are read and written here, and not by the graphics card. */
export const penOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

export function copied(canvas) {
  const copy = newCanvas(canvas.width, canvas.height);
  penOf(copy).drawImage(canvas, 0, 0);
  return copy;
}

/** Gives the memory of a canvas back at once, that nobody needs any longer. */
export const release = (canvas) => Object.assign(canvas, { width: 0, height: 0 });

/** The smallest box of whole pixels around a box, with `more` pixels on each side, within a size. */
export function within({ left, top, right, bottom }, width, height, more = 0) {
  return {
    left: Math.max(0, Math.floor(left - more)),
    top: Math.max(0, Math.floor(top - more)),
    right: Math.min(width, Math.ceil(right + more)),
    bottom: Math.min(height, Math.ceil(bottom + more)),
  };
}

export const isEmptyBox = ({ left, top, right, bottom }) => left >= right || top >= bottom;

function isBlank(tile) {
  const { data } = penOf(tile).getImageData(0, 0, TILE, TILE);
  return new Uint32Array(data.buffer).every((value) => value === 0);
}

export class Layer {
  constructor(width, height) {
    this.version = 0; // counts changes by hand
    this.reset(width, height);
    this.whole = null; // as drawn, while it is shown at another size
  }

  reset(width, height) {
    Object.assign(this, { width, height, tiles: new Map(), unsure: new Set() });
  }

  get box() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  /** Whether there is nothing on it; rubbed out counts as nothing. */
  get empty() {
    for (const key of this.unsure) {
      const tile = this.tiles.get(key);
      if (!tile || isBlank(tile)) this.tiles.delete(key);
      this.unsure.delete(key);
      if (this.tiles.size > this.unsure.size) return false;
    }
    return this.tiles.size === 0;
  }

  /** Whether there is something on so much of it, 0 to 1. */
  covers(share) {
    let left = share * this.width * this.height;
    for (const tile of this.tiles.values()) {
      for (const pixel of this.pixels(tile)) if (pixel && (left -= 1) < 0) return true;
    }
    return false;
  }

  /** Forgets tiles that have nothing. */
  tidy() {
    for (const key of this.unsure) if (this.tiles.has(key) && isBlank(this.tiles.get(key))) this.tiles.delete(key);
    this.unsure.clear();
  }

  changed() {
    this.version += 1;
    this.whole = null;
  }

  /** The keys of the tiles that a box touches, and where each begins. */
  *places(box) {
    const { left, top, right, bottom } = within(box, this.width, this.height);
    for (let row = Math.floor(top / TILE); row * TILE < bottom; row += 1) {
      for (let column = Math.floor(left / TILE); column * TILE < right; column += 1) {
        yield { key: keyOf(column, row), x: column * TILE, y: row * TILE };
      }
    }
  }

  /** Lets `draw(pen)` draw within a box; the pen's pixels are those of the sheet. */
  paint(box, draw) {
    for (const { key, x, y } of this.places(box)) {
      let tile = this.tiles.get(key);
      if (!tile) this.tiles.set(key, (tile = newCanvas(TILE, TILE)));
      this.unsure.add(key);
      const pen = penOf(tile);
      pen.setTransform(1, 0, 0, 1, -x, -y);
      draw(pen, key);
    }
  }

  /** Shows a box of it: `place` tells where a point of the sheet is in the pen's pixels. Tiles begin and end
   * at whole pixels there, so that no seam is seen between them. */
  show(pen, place, box = this.box) {
    const at = (x, y) => [Math.round(place.x + x * place.across), Math.round(place.y + y * place.down)];
    for (const { key, x, y } of this.places(box)) {
      const tile = this.tiles.get(key);
      if (!tile) continue;
      const [left, top] = at(x, y);
      const [right, bottom] = at(x + TILE, y + TILE);
      pen.drawImage(tile, left, top, right - left, bottom - top);
    }
  }

  /** All of it as one canvas. */
  flat(width = this.width, height = this.height) {
    const sheet = newCanvas(this.width, this.height);
    this.show(penOf(sheet), { x: 0, y: 0, across: 1, down: 1 });
    return width === this.width && height === this.height ? sheet : scaled(sheet, width, height);
  }

  /** Another size; what was drawn is scaled to it. */
  resize(width, height) {
    if (this.width === width && this.height === height) return;
    const { tiles } = this;
    const whole = this.whole ?? { width: this.width, height: this.height, tiles };
    const nothing = this.empty;
    if (!nothing && whole.width === width && whole.height === height) {
      Object.assign(this, { width, height, tiles: whole.tiles, unsure: new Set(), whole: null });
      return;
    }
    const flat = nothing ? null : Object.assign(new Layer(whole.width, whole.height), whole).flat();
    this.reset(width, height);
    if (flat) this.paint(this.box, (pen) => drawScaled(pen, flat, width, height));
    this.whole = nothing ? null : whole;
  }

  /** Shows `image`, at this sheet's size, and nothing else. */
  replace(image) {
    const { width, height } = this;
    this.reset(image.width, image.height);
    this.paint(this.box, (pen) => pen.drawImage(image, 0, 0));
    this.tidy();
    this.changed();
    this.resize(width, height);
  }

  /** The pixels of a tile, a word each; of one that is not there they are empty. */
  pixels(tile) {
    if (!tile) return (this.nothing ??= new Uint32Array(TILE * TILE)); // which nobody changes
    return new Uint32Array(penOf(tile).getImageData(0, 0, TILE, TILE).data.buffer);
  }

  /** A tile has these pixels, null takes it away. */
  put(key, pixels) {
    if (!pixels) {
      this.tiles.delete(key);
      return;
    }
    if (!this.tiles.has(key)) this.tiles.set(key, newCanvas(TILE, TILE));
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), TILE, TILE);
    penOf(this.tiles.get(key)).putImageData(image, 0, 0);
    this.unsure.add(key);
  }

  /** Puts tiles back; null is a tile that was not there. */
  swap(tiles) {
    for (const [key, tile] of tiles) {
      if (tile) this.tiles.set(key, tile);
      else this.tiles.delete(key);
      this.unsure.add(key);
    }
    this.changed();
  }

  /** What is on it, as another one; this one has nothing then. */
  moved() {
    const { width, height, tiles, unsure, whole, version } = this;
    const other = Object.assign(new Layer(width, height), { tiles, unsure, whole, version });
    this.wipe();
    return other;
  }

  /** Has what another one has, and nothing else, at this one's size. */
  become({ width, height, tiles, unsure, whole, version }) {
    const { width: wide, height: high } = this;
    Object.assign(this, { width, height, tiles, unsure, whole, version });
    this.resize(wide, high);
  }

  wipe() {
    this.reset(this.width, this.height);
    this.changed();
  }

  /** Takes what another sheet of the same size has, over what is here. */
  add(other) {
    for (const [key, above] of other.tiles) {
      const box = { left: columnOf(key) * TILE, top: rowOf(key) * TILE };
      this.paint({ ...box, right: box.left + 1, bottom: box.top + 1 }, (pen) =>
        pen.drawImage(above, box.left, box.top));
    }
    this.changed();
  }
}

function drawScaled(pen, image, width, height) {
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, width, height);
}

export function scaled(image, width, height) {
  const other = newCanvas(width, height);
  drawScaled(penOf(other), image, width, height);
  return other;
}

/** What a stroke changes of a layer: it is drawn on a sheet of its own, and laid over the layer as a whole, so
 * that a stroke that crosses itself is nowhere darker than its opacity. */
export class Wet {
  constructor(layer, opacity, erase) {
    Object.assign(this, { layer, opacity, erase });
    this.sheet = new Layer(layer.width, layer.height);
    this.dry = new Map(); // the layer's tiles as they were
  }

  /** Lets `draw(pen)` draw within a box, and lays it over the layer. */
  paint(box, draw) {
    const { layer, sheet, dry } = this;
    this.sheet.paint(box, draw);
    const { left, top, right, bottom } = within(box, layer.width, layer.height);
    for (const { key, x, y } of layer.places(box)) {
      if (!dry.has(key)) dry.set(key, layer.tiles.has(key) ? copied(layer.tiles.get(key)) : null);
      layer.paint({ left: x, top: y, right: x + 1, bottom: y + 1 }, (pen) => {
        pen.save();
        pen.beginPath();
        pen.rect(left, top, right - left, bottom - top);
        pen.clip();
        pen.clearRect(left, top, right - left, bottom - top);
        if (dry.get(key)) pen.drawImage(dry.get(key), x, y);
        pen.globalAlpha = this.opacity;
        if (this.erase) pen.globalCompositeOperation = "destination-out";
        pen.drawImage(sheet.tiles.get(key), x, y);
        pen.restore();
      });
    }
  }

  /** Begins the stroke anew: nothing of it is there. Returns the box that changed. */
  undo() {
    const box = this.touched;
    this.layer.swap(new Map([...this.dry].map(([key, tile]) => [key, tile && copied(tile)])));
    this.release();
    return box;
  }

  /** The stroke is done: what it was drawn on is needed no longer. */
  release() {
    this.sheet.tiles.forEach(release);
    this.sheet.wipe();
  }

  /** The box of all tiles that the stroke has touched. */
  get touched() {
    const columns = [...this.dry.keys()].map(columnOf);
    const rows = [...this.dry.keys()].map(rowOf);
    return {
      left: Math.min(...columns) * TILE, right: (Math.max(...columns) + 1) * TILE,
      top: Math.min(...rows) * TILE, bottom: (Math.max(...rows) + 1) * TILE,
    };
  }
}
