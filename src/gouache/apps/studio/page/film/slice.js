// Films: how one is asked for, and what is seen of one.
//
//   film       what the next one is to be: {motion, speed, seconds, fps, loop, from, ends, typed}. motion and speed
//              are names (selectors.js); from: words, or the picture that is shown; ends: the pictures, RUN/NODE,
//              that a morph goes between; typed: settings as they were written by hand, name -> text.
//   screen     {run, frame, playing}: the frame of a film that is seen, null for the newest one.

export const INITIAL = Object.freeze({
  film: Object.freeze({
    motion: "in", speed: "medium", seconds: "4", fps: "12", loop: false, from: "words", ends: [], typed: {},
  }),
  screen: Object.freeze({ run: "", frame: null, playing: false }),
});

export const keptOf = ({ film }) => ({ film });

export const begun = (state, { film = state.film }) => ({ ...state, film: { ...INITIAL.film, ...film } });

const told = (state, values) => ({ ...state, film: { ...state.film, ...values } });

export const REDUCERS = {
  /** Another motion or speed takes the place of the curves that were written by hand. */
  directed(state, { type, ...values }) {
    const { steps_per_frame: steps, ...others } = state.film.typed;
    const anew = "motion" in values || "speed" in values;
    const typed = steps === undefined ? {} : { steps_per_frame: steps };
    return told(state, anew ? { ...values, typed } : values);
  },
  /** A setting was written by hand; "" is as usual again. */
  typedIn: (state, { name, value }) => told(state, { typed: { ...state.film.typed, [name]: value } }),
  /** The settings of a film there is, as the server tells them. */
  refilmed(state, { settings: { frames, seconds, fps, loop, ...others } }) {
    const usual = new Map(state.info.film.map((one) => [one.name, one.default]));
    const typed = Object.entries(others).filter(([name, value]) => usual.has(name) && value !== usual.get(name));
    const long = String(frames ? frames / fps : seconds);
    const whole = { seconds: long, fps: String(fps), loop, motion: "still", from: "words" };
    return told(state, { ...whole, typed: Object.fromEntries(typed) });
  },
  /** A picture is one end of a morph, or not any longer; the third takes the place of the second. */
  ended(state, { place }) {
    const { ends } = state.film;
    const left = ends.filter((one) => one !== place);
    return told(state, { ends: left.length < ends.length ? left : [...left.slice(0, 1), place] });
  },
  /** What is seen of the film that is shown. */
  screened(state, { run, frame = state.screen.frame, playing = state.screen.playing }) {
    const { screen } = state;
    if (screen.run === run && screen.frame === frame && screen.playing === playing) return state;
    return { ...state, screen: { run, frame, playing } };
  },
};
