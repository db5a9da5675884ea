// What was done by hand, to be undone and redone without end. Of a change the pixels that it made others are kept; older
// changes are given to the browser, which may put them on the disk, so that the page's own memory does not grow.

import { applied, difference, roomFor } from "./delta.js";
import { release, TILE } from "./layer.js";

const ROOM = 16 << 20; // bytes of changes that are kept here, each way

/** A change of some tiles of a layer, which has it already. `before` are the tiles as they were, null for one that
 * was not there; nobody needs them any longer. */
export class Tiles {
  constructor(layer, before) {
    Object.assign(this, { layer, width: layer.width, height: layer.height, blob: null });
    const scratch = roomFor(TILE * TILE);
    this.tiles = new Map([...before].map(([key, tile]) => {
      const words = difference(layer.pixels(layer.tiles.get(key)), layer.pixels(tile), scratch);
      if (tile) release(tile);
      return [key, { there: Boolean(tile), words }];
    }));
  }

  get room() {
    return this.blob ? 0 : [...this.tiles.values()].reduce((all, { words }) => all + words.byteLength, 0);
  }

  get ready() {
    return !this.blob;
  }

  pack() {
    if (this.blob) return;
    const all = [...this.tiles.values()];
    this.blob = new Blob(all.map(({ words }) => words));
    for (const one of all) Object.assign(one, { size: one.words.length, words: null });
  }

  async unpack() {
    if (!this.blob) return;
    const words = new Uint32Array(await this.blob.arrayBuffer());
    if (!this.blob) return; // it was asked for twice
    let at = 0;
    for (const one of this.tiles.values()) one.words = words.slice(at, (at += one.size));
    this.blob = null;
  }

  /** Does it, and remembers what was there instead. */
  swap() {
    const { layer } = this;
    const { width, height } = layer;
    const scratch = roomFor(TILE * TILE);
    layer.resize(this.width, this.height);
    for (const [key, { there, words }] of this.tiles) {
      const tile = layer.tiles.get(key);
      const now = layer.pixels(tile);
      const then = applied(words, now.slice());
      this.tiles.set(key, { there: Boolean(tile), words: difference(then, now, scratch) });
      layer.put(key, there ? then : null);
    }
    layer.changed();
    layer.resize(width, height);
  }

  /** What is left of the change if a layer is none any longer, null if nothing. */
  without(layer) {
    return this.layer === layer ? null : this;
  }
}

/** Changes that are done and undone as one. */
export class Together {
  constructor(changes) {
    this.changes = changes;
  }

  get room() {
    return this.changes.reduce((all, { room }) => all + room, 0);
  }

  get ready() {
    return this.changes.every(({ ready }) => ready);
  }

  pack() {
    for (const one of this.changes) one.pack();
  }

  unpack() {
    return Promise.all(this.changes.map((one) => one.unpack()));
  }

  swap() {
    for (const one of this.changes) one.swap();
  }

  without(layer) {
    const changes = this.changes.filter((one) => one.without(layer));
    return changes.length ? new Together(changes) : null;
  }
}

/** A change of the list of layers: `swap()` gets the other list and gives the one that was there. */
export class Order {
  constructor(list, exchange) {
    Object.assign(this, { list, exchange, room: 0, ready: true });
  }

  swap() {
    this.list = this.exchange(this.list);
  }

  without() {
    return this;
  }
}

export class Undo {
  constructor() {
    this.past = [];
    this.future = [];
  }

  remember(change) {
    this.past.push(change);
    this.future = [];
    this.tidy();
  }

  /** Packs away what is over the room that there is. */
  tidy() {
    for (const changes of [this.past, this.future]) {
      let room = ROOM;
      for (const change of [...changes].reverse()) {
        room -= change.room;
        if (room < 0 && change.room) change.pack();
      }
    }
  }

  undo() {
    return this.move(this.past, this.future);
  }

  redo() {
    return this.move(this.future, this.past);
  }

  /** Whether something was done: at once where that is possible, else a promise of it. */
  move(from, to) {
    const change = from.at(-1);
    if (!change) return false;
    if (!change.ready) return change.unpack().then(() => this.move(from, to));
    change.swap();
    to.push(from.pop());
    this.tidy();
    return true;
  }

  /** Forgets what was done to a layer: what was on it is somewhere else now. */
  forget(layer) {
    const left = (changes) => changes.map((one) => one.without(layer)).filter(Boolean);
    Object.assign(this, { past: left(this.past), future: left(this.future) });
  }
}
