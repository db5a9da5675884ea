// The one store of the page: all that the page knows, and the only way to change it.
//
//   server, hand, keys --dispatch(action)--> reduce(state, action) --> update(state) of each module
//
// - `reduce` is pure: no page, no server, no clock. A state is never changed, only followed by another;
//   parts that did not change stay the same objects, so that a module can compare with ===.
// - A module exports `mount(page)`: it finds its nodes, listens to them, and returns {update(state)},
//   which brings the nodes in line with the state, in place (nodes.js): a node that is still wanted stays
//   the same node, with its focus, selection and half a click. Modules know the store, not each other.
//   What else a module remembers (a timer, a stream, a stroke under way) lives in its mount, not beside it.
// - Actions that need the server are in actions.js; they dispatch what came of it. Streams and
//   requests that follow from the state (whose events to hear, which picture to fetch) are modules like
//   others: sync.js and easel.js bring them in line on update.
// - Pixels are not state: canvases hold them (easel.js), and the state what is known of them: which
//   picture is in the view, and of each layer its version and whether it is empty.
// - What can be computed is not kept: selectors.js.
//
// The state and its reducers are made of slices: common.js (runs, what is shown, what is under way) and one
// of each part of the page: shell/slice.js (words, settings, panels), canvas/slice.js (the hand and its
// layers), past/slice.js (history, gallery, comparison), film/slice.js (films). A slice exports `INITIAL`, its parts of the state, which
// its head explains, and `REDUCERS`, which get the whole state. A name belongs to one slice alone. What is to
// outlive a reload a slice gives by `keptOf(state)` and takes back by `begun(state, kept)`.

import * as canvas from "./canvas/slice.js";
import * as common from "./common.js";
import * as film from "./film/slice.js";
import * as past from "./past/slice.js";
import * as shell from "./shell/slice.js";

const SLICES = [common, shell, canvas, past, film];

function joined(parts) {
  const all = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      if (name in all) throw new Error(`two slices have ${name}`);
      all[name] = value;
    }
  }
  return Object.freeze(all);
}

export const INITIAL = joined(SLICES.map((slice) => slice.INITIAL));
const REDUCERS = joined(SLICES.map((slice) => slice.REDUCERS));

export function reduce(state, action) {
  const reducer = REDUCERS[action.type];
  if (!reducer) throw new Error(`unknown action: ${action.type}`);
  let next = reducer(state, action);
  if (action.type === "begun") for (const slice of SLICES) next = slice.begun?.(next, action.kept) ?? next;
  return common.settled(next);
}

/** What outlives a reload of the page, as JSON takes it. */
export const keptOf = (state) => joined(SLICES.map((slice) => slice.keptOf?.(state) ?? {}));

export class Store {
  constructor(state = INITIAL) {
    this.state = state;
    this.modules = [];
    this.updating = false;
  }

  /** Adds a module: {update(state)}. */
  mount(module) {
    this.modules.push(module);
    module.update(this.state);
    return module;
  }

  /** The state is the next one when this returns. The modules are too, unless one of them asks: then
   * all are updated once more when this round is over. */
  dispatch(action) {
    const next = reduce(this.state, action);
    if (next === this.state) return;
    this.state = next;
    if (this.updating) return;
    this.updating = true;
    try {
      for (let told = null; told !== this.state; ) {
        told = this.state;
        for (const module of this.modules) module.update(told);
      }
    } finally {
      this.updating = false;
    }
  }
}
