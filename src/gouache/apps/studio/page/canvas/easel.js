// The picture that is shown, and the sheets over it: all that has pixels. What was drawn is never thrown away
// here: a picture of another size takes it along, and each change can be undone and redone.

import { heldPixels, loadPixels } from "../api.js";
import { $, loadImage, put } from "../nodes.js";
import { BUSY, isDrawn, nodeOf, placeOf, runOf, subjectOf, tryOf, wantedPicture } from "../selectors.js";
import { Fade } from "./fade.js";
import { copied, Layer, newCanvas, penOf, scaled } from "./layer.js";
import { Screen } from "./screen.js";
import { Order, Tiles, Together, Undo } from "./undo.js";

const SHEET = 1024; // pixels of the longer side that is drawn on, at least about so many
const LARGEST = 3072; // of a sheet: memory is kept flat, and a stroke over a larger picture is no softer to the eye
const KEPT = 1536; // of a sheet that outlives a reload
const LAID = 12; // sketches that went into pictures and can be had back
const MASKS = 24; // of other pictures, that come back with these
const PAPER = "#fffdf8";
const TINT = "#ff2878"; // of a mask

const png = (from) => new Promise((done) => from.toBlob(done, "image/png"));

/** The module `easel`, which others ask for pixels. */
export const mount = ({ store }) => new Easel(store);

/** All sketches that are seen, as one: what Paint and Go on take along. */
class Sketch {
  constructor(easel) {
    this.easel = easel;
  }

  get empty() {
    return this.easel.visible.every(({ layer }) => layer.empty);
  }

  /** Another text whenever they look otherwise. */
  get version() {
    const one = ({ id, opacity, layer }) => `${id}@${layer.version}*${opacity}`;
    return this.easel.visible.map(one).join(" ");
  }

  flat() {
    const { width, height } = this.easel.mask;
    const sheet = newCanvas(width, height);
    const pen = penOf(sheet);
    for (const { layer, opacity } of this.easel.visible) {
      pen.globalAlpha = opacity;
      layer.show(pen, { x: 0, y: 0, across: 1, down: 1 });
    }
    return sheet;
  }

  blob() {
    return png(this.flat());
  }
}

class Easel {
  constructor(store) {
    this.store = store;
    this.view = $("view");
    penOf(this.view); // its pixels are in memory once, not with the graphics card too
    this.past = new Undo();
    this.count = 0; // of layers that were made
    this.mask = new Layer(this.view.width, this.view.height);
    this.list = []; // sketches, the lowest first: {id, name, opacity, hidden, layer}; never changed in place
    this.active = 0; // the id of the one that is drawn on
    this.strokes = new Sketch(this);
    this.sent = null; // strokes on their way into the picture that is being painted: {place, layer, lifted, past, left}
    this.sentSeen = false; // whether they are on the screen
    this.callBack = () => {}; // takes them back, if it is not too late (live.js)
    this.laid = []; // {id, name, blob}: sketches that are in a picture now
    this.blanked = null; // the sheet that was laid last
    this.looking = null;
    this.subject = ""; // the picture that the mask is of
    this.masks = new Map(); // those of other pictures: {layer, url}, the latest last; url once it was asked for
    this.streamed = ""; // the run whose frames come by themselves
    this.coming = this.decoding = null; // the newest frame that is not shown yet
    this.rough = false; // whether the view holds such a frame
    this.fade = new Fade(this.view);
    this.addLayer(false);
    this.screen = new Screen(this);
    this.sheets();
  }

  get hasPicture() {
    return this.store.state.sheet.picture;
  }

  get visible() {
    return this.list.filter(({ hidden, opacity }) => !hidden && opacity > 0);
  }

  /** What is drawn over the picture, the lowest first. Strokes on their way are over the picture that they go to, not
   * over an earlier point of its history. */
  get shown() {
    return this.sentHere ? [{ layer: this.sent.layer, opacity: 1 }, ...this.visible] : this.visible;
  }

  get sentHere() {
    return this.sent !== null && this.sent.place === placeOf(this.store.state);
  }

  /** The layer that the tool in hand is for. */
  get layer() {
    return this.masking ? this.mask : this.sketch.layer;
  }

  get masking() {
    return this.store.state.hand.tool.endsWith("mask");
  }

  get sketch() {
    return this.list.find(({ id }) => id === this.active) ?? this.list.at(-1);
  }

  update(state) {
    const { blank, picture } = state.sheet;
    const other = state.ready && subjectOf(state) !== this.subject;
    if (other) this.turnTo(subjectOf(state));
    if (blank && blank !== this.blanked) {
      this.blanked = blank;
      this.fade.end();
      Object.assign(this.view, { width: blank.width, height: blank.height });
      this.sheets();
      if (other) this.screen.fit(); // the zoom was another picture's; tries on one keep it
      this.screen.look();
    }
    this.tint();
    if (this.sentHere !== this.sentSeen) this.screen.render("strokes");
    this.sentSeen = this.sentHere;
    put($("empty"), { hidden: picture || isDrawn(state), ...(blank && { textContent: blank.words }) });
    this.look();
  }

  /** Tint and edge of the mask are seen while a part is changed, but not over a try that was made with it. */
  tint() {
    const { state } = this.store;
    const tried = tryOf(state)?.version === state.layers.mask.version;
    const hidden = !(state.panel === "change" || state.hand.tool.endsWith("mask")) || (tried && !(this.drawing && this.masking));
    for (const id of ["mask", "ants"]) put($(id), { hidden });
  }

  // The picture.

  /** The sheets get the picture's shape. */
  sheets() {
    const { width, height } = this.view;
    const longer = Math.max(width, height);
    const scale = Math.min(Math.max(1, Math.round(SHEET / longer)), LARGEST / longer);
    const size = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    for (const layer of [this.mask, ...this.list.map((one) => one.layer)]) layer.resize(...size);
    this.sent?.layer.resize(...size);
    const other = `${width}x${height}`;
    if (this.shape === other) return;
    this.shape = other;
    this.screen?.fit();
  }

  /** Shows an image, in the size of the picture that it is of. */
  show(image, [width, height] = [image.naturalWidth || image.width, image.naturalHeight || image.height]) {
    this.rough = false;
    this.fade.end();
    put(this.view, { width, height });
    const pen = this.view.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.clearRect(0, 0, width, height);
    pen.drawImage(image, 0, 0, width, height);
    this.sheets();
    this.screen.look();
  }

  /** The picture that is to be fetched, null where the view holds the right one or none is to be. */
  get missing() {
    const { state } = this.store;
    const wanted = wantedPicture(state);
    const run = runOf(state);
    const comes = run?.id === this.streamed && BUSY.includes(run.status) && state.sheet.place === run.id;
    return wanted && wanted.key !== state.sheet.key && !(comes && nodeOf(state) === null) ? wanted : null;
  }

  /** Fetches what is missing until it is shown. */
  look() {
    if (this.missing) this.looking ??= this.bring();
    return this.looking;
  }

  async bring() {
    const { store } = this;
    for (let wanted = this.missing; wanted; wanted = this.missing) {
      const { place, key, url, frame } = wanted;
      const image = await loadPixels(url).catch(() => null);
      const { state } = store;
      if (place !== placeOf(state) || !wantedPicture(state)) {
        image?.close();
        continue; // another was chosen meanwhile
      }
      if (image) {
        this.show(image);
        image.close();
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

  /** A frame of a run came by itself: {step, image}, an image's address. The newest is shown, once it can be. */
  frame(id, told) {
    this.coming = { id, ...told };
    this.decoding ??= this.showFrames().finally(() => (this.decoding = null));
  }

  async showFrames() {
    const { store } = this;
    while (this.coming) {
      const { id, step, image: url } = this.coming;
      this.coming = null;
      const image = await heldPixels(url).catch(() => null);
      const run = runOf(store.state);
      const here = run?.id === id && nodeOf(store.state) === null && BUSY.includes(run.status);
      if (image && here) this.fade.to(() => this.show(image, run.size));
      image?.close();
      if (!image || !here) continue;
      Object.assign(this, { streamed: id, rough: true });
      this.view.dataset.frame = step;
      store.dispatch({ type: "pictured", place: id, key: wantedPicture(store.state)?.key ?? "", frame: step });
    }
  }

  /** Frames that come by themselves are smaller than the picture: after this the view has all of it. */
  async exact() {
    const run = runOf(this.store.state);
    if (!this.rough || !run || nodeOf(this.store.state) !== null) return;
    const image = await loadPixels(`/api/runs/${run.id}/frame.jpg?v=${run.version}`);
    if (runOf(this.store.state)?.id === run.id) this.show(image);
    image.close();
  }

  // What was done by hand.

  /** Tells the state what is known of the pixels; after each change by hand. */
  tell(picture = this.hasPicture) {
    const known = ({ version, empty }) => ({ version, empty });
    const layers = { strokes: known(this.strokes), mask: known(this.mask) };
    const sent = this.sent ? this.sent.past.length - this.sent.left : 0; // which undo calls back
    const undo = { past: this.past.past.length + sent, future: this.past.future.length };
    const list = this.list.map(({ layer, ...one }) => ({ ...one, empty: layer.empty }));
    const laid = this.laid.map(({ id, name }) => ({ id, name }));
    const sheets = { list, active: this.sketch.id, laid, sent: this.sent !== null };
    this.store.dispatch({ type: "drawn", layers, undo, picture, sheets });
  }

  /** A stroke or a fill is done: `tiles` are those of the layer as they were before. */
  did(layer, tiles) {
    this.past.remember(new Tiles(layer, tiles));
    this.tell();
  }

  async step(moved) {
    if (!(moved === true || (moved && (await moved)))) return;
    this.screen.render();
    this.tell();
  }

  undo() {
    if (this.newest) this.callBack();
    return this.step(this.past.undo());
  }

  redo() {
    return this.step(this.past.redo());
  }

  /** Wipes layers; this can be undone. */
  clear(...layers) {
    const full = [...new Set(layers)].filter((layer) => !layer.empty);
    if (!full.length) return;
    const done = full.map((layer) => {
      const before = new Map(layer.tiles);
      layer.wipe();
      return new Tiles(layer, before);
    });
    this.past.remember(new Together(done));
    this.screen.render();
    this.tell();
  }

  /** Another picture: the mask stays with the one that it was made on, and undo does not bring it here. */
  turnTo(subject) {
    const { mask, masks } = this;
    this.past.forget(mask);
    const { past } = this.past;
    if (this.sent) Object.assign(this.sent, { past, left: past.length }); // undo is of what is seen
    if (!mask.empty) masks.set(this.subject, { layer: mask.moved() });
    while (masks.size > MASKS) masks.delete(masks.keys().next().value);
    this.subject = subject;
    if (masks.has(subject)) mask.become(masks.get(subject).layer);
    masks.delete(subject);
    this.screen.render("mask");
    this.tell();
  }

  /** Lets `draw(pen)` draw all over a layer; this can be undone. */
  change(layer, draw) {
    const before = new Map();
    for (const { key } of layer.places(layer.box)) {
      before.set(key, layer.tiles.has(key) ? copied(layer.tiles.get(key)) : null);
    }
    layer.paint(layer.box, draw);
    layer.tidy();
    layer.changed();
    for (const [key, tile] of before) if (!tile && !layer.tiles.has(key)) before.delete(key);
    this.did(layer, before);
    this.screen.render();
  }

  // Layers.

  /** Other sketches instead of those that are there; returns those. */
  exchange(list) {
    const before = this.list;
    this.list = list;
    for (const { layer } of list) layer.resize(this.mask.width, this.mask.height);
    return before;
  }

  arrange(list) {
    this.past.remember(new Order(this.exchange(list), (other) => this.exchange(other)));
    this.screen.render("strokes");
    this.tell();
  }

  /** A new sketch over the one that is drawn on. */
  addLayer(told = true, name = "") {
    this.count += 1;
    const layer = new Layer(this.mask.width, this.mask.height);
    const added = { id: this.count, name: name || `Sketch ${this.count}`, opacity: 1, hidden: false, layer };
    const at = told ? this.list.indexOf(this.sketch) + 1 : this.list.length;
    const list = this.list.toSpliced(at, 0, added);
    this.active = added.id;
    if (told) this.arrange(list);
    else this.list = list;
    return added;
  }

  removeLayer(id) {
    if (this.list.length === 1) return this.clear(this.list[0].layer);
    const at = this.list.findIndex((one) => one.id === id);
    if (this.active === id) this.active = (this.list[at - 1] ?? this.list[at + 1]).id;
    return this.arrange(this.list.toSpliced(at, 1));
  }

  /** Changes name, opacity or hidden of a sketch; `done`: it is not being dragged any longer. */
  setLayer(id, told, done = true) {
    const list = this.list.map((one) => (one.id === id ? { ...one, ...told } : one));
    this.dragged ??= this.list;
    this.list = done ? this.dragged : list;
    if (done) {
      this.dragged = null;
      return this.arrange(list);
    }
    return this.screen.render("strokes");
  }

  /** One place up or down among the sketches. */
  moveLayer(id, by) {
    const at = this.list.findIndex((one) => one.id === id);
    const to = at + by;
    if (to < 0 || to >= this.list.length) return;
    this.arrange(this.list.toSpliced(at, 1).toSpliced(to, 0, this.list[at]));
  }

  choose(id) {
    this.active = id;
    this.tell();
  }

  // The keys.

  /** Keys are for the picture from now on: on the button, space would press it again. */
  focus() {
    if (document.activeElement?.matches("input, textarea, select")) return;
    $("stage").focus({ preventScroll: true });
  }

  /** Whether the strokes that are on their way are what was done last, as far as undo knows. */
  get newest() {
    const { sent } = this;
    return sent !== null && sent.past.length > sent.left && this.past.past.length <= sent.left;
  }

  // What the server gets.

  /** The picture with what was drawn on it. */
  together() {
    const { width, height } = this.mask;
    const both = newCanvas(width, height);
    const pen = penOf(both);
    pen.fillStyle = PAPER;
    pen.fillRect(0, 0, width, height);
    if (this.hasPicture) pen.drawImage(this.view, 0, 0, width, height);
    pen.drawImage(this.strokes.flat(), 0, 0);
    return this.hasPicture ? scaled(both, this.view.width, this.view.height) : both;
  }

  composite() {
    return png(this.together());
  }

  /** The colour that is seen at a place of the picture, as "#rrggbb". */
  colorAt({ x, y }) {
    const dot = newCanvas(1, 1);
    const pen = penOf(dot);
    pen.fillStyle = PAPER;
    pen.fillRect(0, 0, 1, 1);
    if (this.hasPicture) pen.drawImage(this.view, Math.floor(x), Math.floor(y), 1, 1, 0, 0, 1, 1);
    const across = this.mask.width / this.view.width;
    const place = { x: -Math.floor(x * across), y: -Math.floor(y * across), across: 1, down: 1 };
    const box = { left: -place.x, top: -place.y, right: 1 - place.x, bottom: 1 - place.y };
    for (const { layer, opacity } of this.shown) {
      pen.globalAlpha = opacity;
      layer.show(pen, place, box);
    }
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    return `#${[red, green, blue].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  }

  /** Takes the sketches that are seen off the sheet: they are somewhere else from now on. */
  lift() {
    const flat = this.strokes.flat();
    const { past } = this.past;
    const lifted = this.visible.map(({ layer }) => {
      this.past.forget(layer);
      return [layer, layer.moved()];
    });
    const id = (this.laid.at(-1)?.id ?? 0) + 1;
    this.laid = [...this.laid, { id, name: `Drawing ${id}`, blob: png(flat) }].slice(-LAID);
    return { flat, lifted, past, left: this.past.past.length };
  }

  /** The strokes were taken by the server: they belong to the picture from now on, if it is `here`. */
  taken(here = true) {
    const picture = here ? this.together() : null;
    this.lift();
    if (picture) this.show(picture);
    this.screen.render("strokes");
    this.tell(here || this.hasPicture);
  }

  /** Sketches that went into a picture come back as a layer of their own. */
  async recall(id) {
    const { name, blob } = this.laid.find((one) => one.id === id);
    const image = await createImageBitmap(await blob);
    const { layer } = this.addLayer(true, name);
    this.change(layer, (pen) => pen.drawImage(image, 0, 0, layer.width, layer.height));
  }

  /** Strokes are on their way: they are seen until `land`, and what is drawn from now on is apart. */
  send() {
    const blob = this.strokes.blob();
    const { flat, ...held } = this.lift();
    const layer = new Layer(this.mask.width, this.mask.height);
    layer.replace(flat);
    this.sent = { place: placeOf(this.store.state), layer, ...held };
    this.screen.render("strokes");
    this.tell();
    return blob;
  }

  /** They are on the sheet again as if they had never left it, with all that undo knew of them. */
  takeBack() {
    const { lifted, past } = this.sent;
    for (const [layer, before] of lifted) {
      const version = layer.version + 1; // another than that which was sent
      layer.become(before);
      layer.version = version;
    }
    Object.assign(this.past, { past, future: [] });
    this.sent = null;
    this.laid = this.laid.slice(0, -1);
    this.screen.render("strokes");
    this.tell();
  }

  /** They have arrived in the picture; or not, and are on the sheet again. */
  land(arrived) {
    const { sent } = this;
    if (!sent) return;
    if (!arrived && this.newest && this.strokes.empty) {
      this.takeBack();
      return;
    }
    this.sent = null;
    if (!arrived) {
      this.laid = this.laid.slice(0, -1);
      const { layer } = this.list[0];
      const [below, above] = [sent.layer.flat(), layer.flat()];
      this.change(layer, (pen) => {
        pen.clearRect(0, 0, layer.width, layer.height);
        for (const sheet of [below, above]) pen.drawImage(sheet, 0, 0);
      });
    }
    this.screen.render("strokes");
    this.tell();
  }

  /** The mask as a picture, white where it is. */
  maskBlob() {
    const flat = this.mask.flat();
    const pen = penOf(flat);
    const pixels = pen.getImageData(0, 0, flat.width, flat.height);
    for (let k = 0; k < pixels.data.length; k += 4) {
      const value = pixels.data[k + 3] > 127 ? 255 : 0;
      pixels.data[k] = pixels.data[k + 1] = pixels.data[k + 2] = value;
      pixels.data[k + 3] = 255;
    }
    pen.putImageData(pixels, 0, 0);
    return png(flat);
  }

  /** A mask as the server found it, light where it is. */
  setMask(image) {
    const { width, height } = this.mask;
    const tinted = scaled(image, width, height);
    const pen = penOf(tinted);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let k = 0; k < pixels.data.length; k += 4) pixels.data[k + 3] = pixels.data[k] > 127 ? 255 : 0;
    pen.putImageData(pixels, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = TINT;
    pen.fillRect(0, 0, width, height);
    this.change(this.mask, (brush) => {
      brush.clearRect(0, 0, width, height);
      brush.drawImage(tinted, 0, 0);
    });
  }

  /** The mask is what it was not. */
  invertMask() {
    this.change(this.mask, (pen) => {
      pen.globalCompositeOperation = "source-out";
      pen.fillStyle = TINT;
      pen.fillRect(0, 0, this.mask.width, this.mask.height);
      pen.globalCompositeOperation = "source-over";
    });
  }

  /** The color to draw with on the layer of the tool in hand. */
  get ink() {
    return this.masking ? TINT : this.store.state.hand.color;
  }

  // What outlives a reload.

  /** All sheets as {list: [{name, opacity, hidden, url}], masks: [[subject, version, url]]}, the addresses holding
   * the pixels. */
  keep() {
    const small = (layer) => {
      if (layer.empty) return null;
      const shrink = Math.min(1, KEPT / Math.max(layer.width, layer.height));
      const sheet = newCanvas(Math.round(layer.width * shrink), Math.round(layer.height * shrink));
      layer.show(penOf(sheet), { x: 0, y: 0, across: shrink, down: shrink });
      return sheet.toDataURL();
    };
    const list = this.list.map(({ layer, id, ...one }) => ({ ...one, url: small(layer) }));
    const masks = [...this.masks].map(([subject, one]) => [subject, one.layer.version, (one.url ??= small(one.layer))]);
    if (!this.mask.empty) masks.push([this.subject, this.mask.version, small(this.mask)]);
    return { list, active: this.list.indexOf(this.sketch), masks };
  }

  /** The sheets of an earlier load of this page. */
  async recover({ list = [], active = 0, masks = [] }) {
    const image = (url) => (url ? loadImage(url).catch(() => null) : null);
    const images = await Promise.all(list.map(({ url }) => image(url)));
    await Promise.all(masks.map(async ([subject, version, url]) => {
      const found = await image(url);
      if (!found) return;
      const layer = new Layer(found.width, found.height);
      layer.replace(found);
      this.masks.set(subject, { url, layer: Object.assign(layer, { version }) });
    }));
    if (list.length) {
      this.list = [];
      this.count = 0;
      list.forEach(({ name, opacity, hidden }, at) => {
        const added = this.addLayer(false, name);
        Object.assign(added, { opacity, hidden });
        if (images[at]) added.layer.replace(images[at]);
      });
      this.active = this.list[active]?.id ?? this.list.at(-1).id;
    }
    this.screen.render();
    this.tell();
  }
}
