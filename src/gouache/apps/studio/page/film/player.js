// A film on the easel: the frame that is seen, played and gone through by hand. While it is painted the newest frame
// is seen, unless another one was asked for.

import { $, attributes, put } from "../nodes.js";
import { screenOf } from "./selectors.js";

const AHEAD = 12; // frames that are fetched before they are played
const KEPT = 600; // frames in memory

const urlOf = (run, frame) => `/api/runs/${run.id}/frames/${frame}.png`;

export function mount({ store }) {
  const [player, view, play, at, time] = ["player", "film-view", "film-play", "film-at", "film-time"].map($);
  const pen = view.getContext("2d");
  const images = new Map(); // address -> Image
  let seen = ""; // the address of what is in the view
  let timer = 0;

  const screened = (told) => {
    const screen = screenOf(store.state);
    if (screen) store.dispatch({ type: "screened", run: screen.run.id, ...told });
  };

  // Frames.

  function fetched(url) {
    if (!images.has(url)) {
      if (images.size >= KEPT) images.delete(images.keys().next().value);
      const image = new Image();
      image.onload = () => update(store.state);
      image.src = url;
      images.set(url, image);
    }
    return images.get(url);
  }

  const isThere = (image) => image.complete && image.naturalWidth > 0;

  function draw({ run, frame }) {
    const url = urlOf(run, frame);
    const image = fetched(url);
    if (url === seen || !isThere(image)) return;
    put(view, { width: image.naturalWidth, height: image.naturalHeight });
    view.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
    pen.drawImage(image, 0, 0);
    put(view.dataset, { frame: String(frame) });
    seen = url;
  }

  // Playing.

  function turn(on) {
    const screen = screenOf(store.state);
    if (screen) screened({ playing: on, frame: screen.frame });
  }

  function tick() {
    timer = 0;
    const screen = screenOf(store.state);
    if (!screen?.playing) return;
    const next = (screen.frame + 1) % screen.painted;
    // One that is not there yet is waited for.
    if (isThere(fetched(urlOf(screen.run, next)))) screened({ frame: next });
    run(screen);
  }

  function run({ fps, frame, painted, run: film }) {
    for (let k = 1; k <= Math.min(AHEAD, painted - 1); k += 1) fetched(urlOf(film, (frame + k) % painted));
    timer ||= setTimeout(tick, 1000 / fps);
  }

  // By hand.

  function go(to) {
    const screen = screenOf(store.state);
    const frame = Math.max(0, Math.min(screen.painted - 1, to));
    const newest = frame === screen.painted - 1 && screen.painted < screen.frames;
    screened({ playing: false, frame: newest ? null : frame });
  }

  at.addEventListener("input", () => go(Number(at.value)));
  play.addEventListener("click", () => turn(!screenOf(store.state)?.playing));
  player.addEventListener("keydown", (event) => {
    const screen = screenOf(store.state);
    if (!screen || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => go(screen.frame - 1),
      ArrowRight: () => go(screen.frame + 1),
      Home: () => go(0),
      End: () => go(Infinity),
      " ": () => turn(!screen.playing),
    };
    if (!keys[event.key] || (event.key === " " && event.target.matches("a, button"))) return;
    keys[event.key]();
    event.preventDefault();
    event.stopPropagation();
  });
  player.addEventListener("keyup", (event) => event.key === " " && event.stopPropagation());

  function update(state) {
    const screen = screenOf(state);
    const comes = player.hidden && screen;
    put(player, { hidden: !screen });
    if (!screen) return;
    if (comes && document.activeElement === $("strokes")) at.focus({ preventScroll: true }); // which is covered
    draw(screen);
    const { frame, painted, frames, fps, playing, run: film } = screen;
    put(at, { max: String(painted - 1), value: String(frame) });
    const said = `frame ${frame + 1} of ${frames}`;
    attributes(at, { "aria-valuetext": said });
    attributes(view, { "aria-label": `The film, ${said}` });
    put(time, { textContent: `${frame + 1} / ${frames} · ${(frame / fps).toFixed(1)} s` });
    attributes(play, { "aria-label": playing ? "Halt" : "Play", title: playing ? "Halt (space)" : "Play (space)" });
    attributes(play.querySelector("use"), { href: `/page/icons.svg#${playing ? "pause" : "play"}` });
    for (const kind of ["mp4", "gif", "webm"]) attributes($(`film-${kind}`), { href: `/api/runs/${film.id}/timelapse.${kind}` });
    if (playing) run(screen);
  }

  return { update };
}
