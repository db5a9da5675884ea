// The hand and what it drew. Pixels are not state: canvases hold them (easel.js).
//
//   layers     name -> {version, empty}; undo {past, future}: counts.
//   hand       tool, colour and size.

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export const INITIAL = Object.freeze({
  layers: { strokes: { version: 0, empty: true }, mask: { version: 0, empty: true } },
  undo: { past: 0, future: 0 },
  hand: { tool: "brush", color: "#d8432b", size: 28 },
});

export const REDUCERS = {
  held: (state, { type, ...told }) => ({ ...state, hand: { ...state.hand, ...told } }),
  drawn(state, { layers, undo, picture }) {
    const sheet = state.sheet.picture === picture ? state.sheet : { ...state.sheet, picture };
    const known = same([layers, undo], [state.layers, state.undo]);
    if (known) return sheet === state.sheet ? state : { ...state, sheet };
    return { ...state, sheet, layers, undo };
  },
  /** The view holds a picture, or holds that it cannot be shown. */
  pictured: (state, { place, key, frame, picture = true }) =>
    ({ ...state, sheet: { ...state.sheet, place, key, frame, picture } }),
};
