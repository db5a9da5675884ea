// The canvas' part of the state: what the hand holds, what is known of the sheets, and tries on one mask.

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const TOOLS = { size: [1, 200], opacity: [0.05, 1], hardness: [0, 1], smoothing: [0, 1] };
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
const FORGOTTEN = { base: null, tries: [], count: 1 };

export const INITIAL = Object.freeze({
  // `before`: the tool to have again when a colour was picked up. Sizes are for a picture 512 wide.
  hand: {
    tool: "brush", before: "brush", color: "#d8432b", size: 28, opacity: 1, hardness: 1, smoothing: 0.3,
    pressure: true,
  },
  layers: { strokes: { version: "", empty: true }, mask: { version: 0, empty: true } },
  // list: [{id, name, opacity, hidden, empty}], the lowest first; laid: [{id, name}], in a picture now
  sheets: { list: [], active: 0, laid: [] },
  undo: { past: 0, future: 0 },
  // Tries on one part: base {place, run, node, image, mask, version} is what all of them start from, where `image`
  // and `mask` are uploads and `version` is the mask's; tries [{id, words}] are their runs.
  part: FORGOTTEN,
  grow: { left: 0, right: 0, top: 0, bottom: 0 }, // pixels of the picture by which it is to grow
});

/** The brush outlives a reload, and so do the tries on a part; `masked`: whether the mask is still theirs. */
export const keptOf = ({ hand, layers, part }) =>
  ({ hand, part, masked: part.base?.version === layers.mask.version });

export function begun(state, { hand, part = FORGOTTEN, masked = false }) {
  // A mask that was brought back counts its versions anew.
  const base = part.base && { ...part.base, version: masked ? state.layers.mask.version : -1 };
  return { ...state, hand: { ...state.hand, ...hand }, part: { ...part, base } };
}

export const REDUCERS = {
  held(state, { type, ...told }) {
    const before = told.tool === "pick" && state.hand.tool !== "pick" ? state.hand.tool : state.hand.before;
    const hand = { ...state.hand, ...told, before };
    for (const [name, range] of Object.entries(TOOLS)) hand[name] = clamp(hand[name], ...range);
    return { ...state, hand };
  },
  drawn(state, { layers, undo, picture, sheets }) {
    let next = state.sheet.picture === picture ? state : { ...state, sheet: { ...state.sheet, picture } };
    for (const [name, value] of Object.entries({ layers, undo, sheets })) {
      if (!same(value, next[name])) next = { ...next, [name]: value };
    }
    const unmasked = layers.mask.empty && !state.layers.mask.empty;
    // What was said of the mask goes with it.
    return unmasked ? { ...next, notices: { ...next.notices, mask: null } } : next;
  },
  /** The view holds a picture, or holds that it cannot be shown. */
  pictured: (state, { place, key, frame, picture = true }) =>
    ({ ...state, sheet: { ...state.sheet, place, key, frame, picture } }),
  /** A try on a part of a picture was ordered; the first one says what they start from. */
  tried(state, { base, tries }) {
    const before = state.part.base && same(state.part.base, base) ? state.part.tries : [];
    return { ...state, part: { ...state.part, base, tries: [...before, ...tries] } };
  },
  /** One of the tries is kept, or all are given up: the next one starts from what is shown. */
  settledOn: (state) => ({ ...state, part: { ...FORGOTTEN, count: state.part.count } }),
  /** So many tries at once. */
  counted: (state, { count }) => ({ ...state, part: { ...state.part, count } }),
  grown: (state, { type, ...told }) => {
    const grow = { ...state.grow, ...told };
    return same(grow, state.grow) ? state : { ...state, grow };
  },
};
