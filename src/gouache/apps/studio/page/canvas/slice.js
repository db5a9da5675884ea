// The canvas' part of the state: what the hand holds, what is known of the sheets, and tries on one mask.

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const TOOLS = { size: [1, 200], opacity: [0.05, 1], hardness: [0, 1], smoothing: [0, 1] };
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

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
  // Tries on parts of pictures, of a picture (subjectOf) one: base {place, run, node, image} is what the next one
  // starts from, `image` an upload or a point of the history, and mask {id, version}, an upload, what it changes, or
  // null; tries [{id, words, version, masked, own}] are runs, each with the version of the mask that it was made
  // with; `own`: it goes on by itself.
  parts: [],
  tries: 1, // at once
  grow: { left: 0, right: 0, top: 0, bottom: 0 }, // pixels of the picture by which it is to grow
});

/** The brush outlives a reload, and so do the tries. */
export const keptOf = ({ hand, parts, tries }) => ({ hand, parts, tries });

export function begun(state, { hand, parts = [], tries = 1 }) {
  return { ...state, hand: { ...state.hand, ...hand }, parts, tries };
}

/** A run that is one of the tries goes on by itself. */
function released(parts, id) {
  const own = (one) => (one.id === id ? { ...one, own: true } : one);
  return parts.map((part) => ({ ...part, tries: part.tries.map(own) }));
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
  /** Tries on a part of a picture were ordered: they stand beside those before. */
  tried(state, { subject, base, mask, tries }) {
    const before = state.parts.find((part) => part.subject === subject)?.tries ?? [];
    const others = released(state.parts.filter((part) => part.subject !== subject), subject);
    return { ...state, parts: [...others, { subject, base, mask, tries: [...before, ...tries] }] };
  },
  /** One of the tries is kept: the next one starts from it. */
  settledOn: (state, { run }) => ({ ...state, parts: released(state.parts, run) }),
  /** So many tries at once. */
  counted: (state, { count }) => ({ ...state, tries: count }),
  grown: (state, { type, ...told }) => {
    const grow = { ...state.grow, ...told };
    return same(grow, state.grow) ? state : { ...state, grow };
  },
};
