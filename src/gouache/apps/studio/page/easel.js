// The picture that is shown, and the sheets over it.

import { Layer, Undo } from "./layer.js";

const SHEET = 768; // pixels of the longer side that is drawn on
const LARGEST = 4096; // of a drawing, as the server takes it
const PAPER = "#fffdf8";

export function loadImage(url) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("The picture cannot be shown."));
    image.src = url;
  });
}

function canvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

const png = (from) => new Promise((done) => from.toBlob(done, "image/png"));

export class Easel {
  constructor(view, strokes, mask, words) {
    Object.assign(this, { view, words });
    this.undo = new Undo();
    this.strokes = new Layer(strokes, this.undo);
    this.mask = new Layer(mask, this.undo);
    this.hasPicture = false;
  }

  sheets() {
    const { width, height } = this.view;
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
    this.hasPicture = true;
    this.words.hidden = true;
    this.sheets();
  }

  /** A sheet without a picture. */
  blank(width, height, text) {
    this.view.width = width;
    this.view.height = height;
    this.hasPicture = false;
    this.words.hidden = false;
    this.words.textContent = text;
    this.sheets();
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

  /** The strokes were taken by the server: they belong to the picture from now on. */
  taken() {
    const picture = this.together();
    this.strokes.taken();
    this.show(picture);
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
    this.undo.remember(this.mask);
    this.mask.replace(tinted);
  }
}
