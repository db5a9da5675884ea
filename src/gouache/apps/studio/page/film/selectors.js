// What follows from the state of films: pure functions.

import { ENDED, nodeOf, runOf } from "../selectors.js";

const SPEEDS = { slow: 0.5, medium: 1, fast: 2 };
const TURN = 6.2832; // radians
const BESIDE = ["frames", "seconds", "fps", "loop"]; // these have fields of their own
export const FINE = [
  { title: "The camera", of: /^(zoom|angle|translation_[xy]|center|border)/, moves: true },
  { title: "The camera in depth", of: /^(translation|rotation|fov)/, moves: true },
  { title: "How much is painted", of: /^(steps|frame)/ },
  { title: "From frame to frame", of: /./ },
];

const short = (value) => String(Number(value.toFixed(4)));

/** How the camera moves: its name, and the curves at a speed (1 is medium) for pictures of a size. Pixels are of
 * frames, so that larger ones move as far. */
export const MOTIONS = {
  in: { title: "Zoom in", curves: (speed) => ({ zoom: short(1 + 0.012 * speed) }) },
  out: { title: "Zoom out", curves: (speed) => ({ zoom: short(1 / (1 + 0.012 * speed)) }) },
  left: { title: "Pan left", curves: (speed, [width]) => ({ translation_x: short((width / 110) * speed) }) },
  right: { title: "Pan right", curves: (speed, [width]) => ({ translation_x: short((-width / 110) * speed) }) },
  up: { title: "Pan up", curves: (speed, [, height]) => ({ translation_y: short((height / 110) * speed) }) },
  down: { title: "Pan down", curves: (speed, [, height]) => ({ translation_y: short((-height / 110) * speed) }) },
  turn: { title: "Rotate", curves: (speed) => ({ angle: short(speed), zoom: "1.003" }) },
  breathe: {
    title: "Breathing",
    curves: (speed) => ({ zoom: `1+${short(0.006 * speed)}*cos(${TURN}*t/24)` }),
  },
  fly: {
    title: "Fly in",
    curves: (speed) => ({ translation_z: short(2.5 * speed), rotation_3d_y: `${short(0.4 * speed)}*sin(${TURN}*t/48)` }),
  },
  still: { title: "No camera", curves: () => ({}) },
  morph: { title: "Morph", curves: () => ({}) },
};

export const isMorph = ({ film }) => film.motion === "morph";

/** The settings of the film that is asked for, by name, as the server takes them. `size` is that of its frames. */
export function settingsOf({ film }, size) {
  const { seconds, fps, loop } = film;
  const typed = Object.entries(film.typed).filter(([, value]) => value !== "");
  return { seconds, fps, loop, ...MOTIONS[film.motion].curves(SPEEDS[film.speed], size), ...Object.fromEntries(typed) };
}

/** The settings that are written by hand, if they are, in groups: [{title, settings: [{name, help, default, choices}]}]. */
export function fineOf({ info, film }) {
  const left = new Map(info.film.filter(({ name }) => !BESIDE.includes(name)).map((one) => [one.name, one]));
  const groups = FINE.map(({ title, of, moves }) => {
    const settings = [...left.values()].filter(({ name }) => of.test(name));
    for (const { name } of settings) left.delete(name);
    return { title, settings: moves && film.motion === "morph" ? [] : settings };
  });
  return groups.filter(({ settings }) => settings.length);
}

/** The point that stands for the picture that is shown, as RUN/NODE; "" where there is none to begin with. */
export function pointShown(state) {
  const [run, node] = [runOf(state), nodeOf(state)];
  if (!run) return "";
  if (node !== null) return `${run.id}/${node}`;
  return ENDED.includes(run.status) && run.nodes.length ? `${run.id}/${run.nodes.at(-1).node}` : "";
}

/** Pictures that a morph can go between, newest first: [{place, run, url}]. */
export function endsOf({ runs, film }) {
  const all = [...runs.values()].filter((run) => ENDED.includes(run.status) && run.nodes.length);
  const found = all.map((run) => {
    const { node } = run.nodes.at(-1);
    return { place: `${run.id}/${node}`, run, url: `/api/runs/${run.id}/nodes/${node}/thumb?side=160` };
  });
  return found.reverse().map((one) => ({ ...one, at: film.ends.indexOf(one.place) }));
}

/** The film that is seen: {run, frame, painted, frames, fps, playing}; null where none is, or no frame yet. */
export function screenOf(state) {
  const run = runOf(state);
  if (!run?.film?.painted || nodeOf(state) !== null) return null;
  const { painted, frames, fps } = run.film;
  const { screen } = state;
  const own = screen.run === run.id;
  const frame = Math.min(own ? (screen.frame ?? painted - 1) : painted - 1, painted - 1);
  return { run, frame, painted, frames, fps, playing: own && screen.playing };
}
