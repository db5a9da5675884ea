// The picture that is shown, and the sheets over it: all that has pixels.

import { Layer, Undo } from "./layer.js";
import { $, loadImage, put } from "../nodes.js";
import { isDrawn, nodeOf, placeOf, wantedPicture } from "../selectors.js";

const SHEET = 768; // pixels of the longer side that is drawn on
const LARGEST = 4096; // of a drawing, as the server takes it
const PAPER = "#fffdf8";
const TINT = "rgb(255 40 120)"; // of a mask

function canvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

const png = (from) => new Promise((done) => from.toBlob(done, "image/png"));

/** The module `easel`, which others ask for pixels. */
export const mount = ({ store }) => new Easel(store);

class Easel {
  constructor(store) {
    this.store = store;
    this.view = $("view");
    this.past = new Undo();
    this.strokes = new Layer($("strokes"), this.past);
    this.mask = new Layer($("mask"), this.past);
    this.blanked = null; // the sheet that was laid last
    this.looking = null;
  }

  get hasPicture() {
    return this.store.state.sheet.picture;
  }

  update(state) {
    const { blank, picture } = state.sheet;
    if (blank && blank !== this.blanked) {
      this.blanked = blank;
      Object.assign(this.view, { width: blank.width, height: blank.height });
      this.sheets();
    }
    put($("empty"), { hidden: picture || isDrawn(state) });
    if (blank) put($("empty"), { textContent: blank.words });
    this.look();
  }

  sheets() {
    const { width, height } = this.view;
    $("paper").style.setProperty("--ratio", width / height); // how it fits: canvas.css
    const longer = Math.max(width, height);
    const scale = Math.min(Math.max(1, Math.round(SHEET / longer)), LARGEST / longer);
    for (const layer of [this.strokes, this.mask]) {
      layer.resize(Math.round(width * scale), Math.round(height * scale));
    }
  }

  show(image) {
    this.view.width = image.naturalWidth || image.width;
    this.view.height = image.naturalHeight || image.height;
    this.view.getContext("2d").drawImage(image, 0, 0);
    this.sheets();
  }

  /** The picture that is to be fetched, null where the view holds the right one or none is to be. */
  get missing() {
    const { state } = this.store;
    const wanted = wantedPicture(state);
    return wanted && wanted.key !== state.sheet.key ? wanted : null;
  }

  /** Fetches what is missing until it is shown; frames come as fast as they can be shown. */
  look() {
    if (this.missing) this.looking ??= this.bring();
    return this.looking;
  }

  async bring() {
    const { store } = this;
    for (let wanted = this.missing; wanted; wanted = this.missing) {
      const { place, key, url, frame } = wanted;
      const image = await loadImage(url).catch(() => null);
      const { state } = store;
      if (place !== placeOf(state) || !wantedPicture(state)) continue; // another was chosen meanwhile
      if (image) {
        this.show(image);
        this.view.dataset.frame = frame;
        store.dispatch({ type: "pictured", place, key, frame });
      } else if (state.shown && nodeOf(state) === null) {
        break; // nothing painted yet; the next news asks again
      } else {
        store.dispatch({ ...state.sheet, type: "pictured", key });
        store.dispatch({ type: "noticed", problem: "The picture cannot be shown; choose it again." });
      }
    }
    this.looking = null;
  }

  /** Tells the state what is known of the pixels; after each change by hand. */
  tell(picture = this.hasPicture) {
    const known = ({ version, empty }) => ({ version, empty });
    const layers = { strokes: known(this.strokes), mask: known(this.mask) };
    const undo = { past: this.past.past.length, future: this.past.future.length };
    this.store.dispatch({ type: "drawn", layers, undo, picture });
  }

  undo() {
    if (this.past.undo()) this.tell();
  }

  redo() {
    if (this.past.redo()) this.tell();
  }

  /** The layer that the tool in hand is for. */
  get layer() {
    return this.store.state.hand.tool.endsWith("mask") ? this.mask : this.strokes;
  }

  /** Draws with what is in hand; places are pixels of the layers. */
  draw(from, to) {
    const { layer } = this;
    const { tool, color, size } = this.store.state.hand;
    const width = (size * layer.canvas.width) / 512;
    layer.line(from, to, width, layer === this.mask ? TINT : color, ["eraser", "unmask"].includes(tool));
  }

  clear() {
    this.layer.clear();
    this.tell();
  }

  /** Keys are for the picture from now on: on the button, space would press it again. */
  focus() {
    if (document.activeElement?.matches("input, textarea, select")) return;
    $("stage").focus({ preventScroll: true });
  }

  /** The picture with what was drawn on it. */
  together() {
    const { width, height } = this.strokes.canvas;
    const both = canvas(width, height);
    const pen = both.getContext("2d");
    pen.fillStyle = PAPER;
    pen.fillRect(0, 0, width, height);
    if (this.hasPicture) pen.drawImage(this.view, 0, 0, width, height);
    pen.drawImage(this.strokes.canvas, 0, 0);
    if (!this.hasPicture) return both;
    const small = canvas(this.view.width, this.view.height);
    const brush = small.getContext("2d");
    brush.imageSmoothingQuality = "high";
    brush.drawImage(both, 0, 0, small.width, small.height);
    return small;
  }

  composite() {
    return png(this.together());
  }

  /** The strokes were taken by the server: they belong to the picture from now on, if it is `here`. */
  taken(here = true) {
    const picture = here ? this.together() : null;
    this.strokes.taken();
    if (picture) this.show(picture);
    this.tell(here || this.hasPicture);
  }

  /** The mask as a picture, white where it is. */
  maskBlob() {
    const { width, height } = this.mask.canvas;
    const flat = canvas(width, height);
    const pen = flat.getContext("2d", { willReadFrequently: true });
    pen.drawImage(this.mask.canvas, 0, 0);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let k = 0; k < pixels.data.length; k += 4) {
      const value = pixels.data[k + 3] > 127 ? 255 : 0;
      pixels.data.set([value, value, value, 255], k);
    }
    pen.putImageData(pixels, 0, 0);
    return png(flat);
  }

  /** A mask as the server found it, light where it is. */
  setMask(image) {
    const { width, height } = this.mask.canvas;
    const tinted = canvas(width, height);
    const pen = tinted.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let k = 0; k < pixels.data.length; k += 4) {
      pixels.data.set([255, 40, 120, pixels.data[k] > 127 ? 255 : 0], k);
    }
    pen.putImageData(pixels, 0, 0);
    this.past.remember(this.mask);
    this.mask.replace(tinted);
    this.tell();
  }

  /** The sheets of an earlier load of this page, as images or null. */
  recover(strokes, mask) {
    if (strokes) this.strokes.replace(strokes);
    if (mask) this.mask.replace(mask);
    this.tell();
  }
}
