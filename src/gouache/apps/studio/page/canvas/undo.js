// What was done by hand, to be undone and redone without end. The newest changes are kept as they are; older
// ones are packed away by the browser, so that the page's own memory does not grow with them.

import { newCanvas, penOf, release, TILE } from "./layer.js";

const ROOM = 96; // tiles that are kept as they are: 24 MiB

const packed = (tile) => new Promise((done) => tile.toBlob(done, "image/png"));

async function unpacked(blob) {
  const image = await createImageBitmap(blob);
  const tile = newCanvas(TILE, TILE);
  penOf(tile).drawImage(image, 0, 0);
  image.close();
  return tile;
}

/** A change of some tiles of a layer that had a size then. */
export class Tiles {
  constructor(layer, tiles) {
    Object.assign(this, { layer, tiles, width: layer.width, height: layer.height });
  }

  get room() {
    return [...this.tiles.values()].filter((tile) => tile instanceof HTMLCanvasElement).length;
  }

  get ready() {
    return [...this.tiles.values()].every((tile) => !(tile instanceof Blob));
  }

  async turn(kind, how) {
    await Promise.all([...this.tiles].filter(([, tile]) => tile instanceof kind).map(async ([key, tile]) => {
      const other = await how(tile);
      if (this.tiles.get(key) !== tile) return; // it was done or undone meanwhile
      this.tiles.set(key, other);
      if (kind === HTMLCanvasElement) release(tile);
    }));
  }

  pack() {
    return this.turn(HTMLCanvasElement, packed);
  }

  unpack() {
    return this.turn(Blob, unpacked);
  }

  /** Does it, and remembers what was there instead. */
  swap() {
    const { layer } = this;
    const { width, height } = layer;
    layer.resize(this.width, this.height);
    this.tiles = layer.swap(this.tiles);
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
    return Promise.all(this.changes.map((one) => one.pack()));
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
    this.work = Promise.resolve(); // packing, one change after the other
  }

  remember(change) {
    this.past.push(change);
    this.future = [];
    this.tidy();
  }

  /** Packs away what is over the room that there is, the farthest first. */
  tidy() {
    for (const changes of [this.past, this.future]) {
      let room = ROOM;
      for (const change of [...changes].reverse()) {
        room -= change.room;
        if (room < 0 && change.room) this.work = this.work.then(() => change.pack()).catch(() => {});
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
