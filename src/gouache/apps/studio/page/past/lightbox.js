// One picture, large, and the way to the next: of the gallery as it is sought, or of a run's history.

import { $, attributes, put } from "../nodes.js";
import { wordsOf } from "../selectors.js";
import { exportUrl, finishedSize, galleryOf, isSeen, namedIn, nodeIn, pictureUrl, runOfPicture, titleOf } from "./selectors.js";
import { fillStar } from "./thumbs.js";

export function mount({ store, actions }) {
  const [dialog, image, name, about, told] =
    ["lightbox", "large", "large-name", "large-about", "large-told"].map($);
  const large = () => store.state.large;
  const to = (picture) => actions.large(picture);
  let opened = false; // by the picture that is to be seen; it closes before its event says so
  let place = 0; // of the picture among its neighbours, when it was last there

  /** The pictures that the arrows lead through. */
  function neighbours(state) {
    const run = runOfPicture(state, state.large);
    if (state.large.node !== null) return run.nodes.map(({ node }) => ({ run: run.id, node }));
    return galleryOf(state).filter((one) => isSeen(one, null)).map(({ id }) => ({ run: id, node: null }));
  }

  function placeIn(all, { run, node }) {
    return all.findIndex((one) => one.run === run && one.node === node);
  }

  function go(by) {
    const all = neighbours(store.state);
    const at = placeIn(all, large());
    const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
    if (next) to(next);
  }

  const deeds = {
    "large-back": () => go(-1),
    "large-on": () => go(1),
    "large-star": () => actions.like(large()),
    "large-show": () => {
      const { run, node } = large();
      to(null);
      actions.choose(run, node);
    },
    "large-compare": () => {
      const picture = large();
      const other = store.state.pair;
      to(null);
      if (other) actions.choose(picture.run, picture.node);
      else actions.compare(picture);
    },
    "large-vary": () => actions.vary(large()),
    "large-delete": ({ detail, repeat }) => detail > 1 || repeat || actions.discard([large().run]), // one at a time
    "large-close": () => to(null),
  };
  for (const [id, deed] of Object.entries(deeds)) $(id).addEventListener("click", deed);

  const keys = {
    ArrowLeft: () => go(-1),
    ArrowRight: () => go(1),
    Home: () => go(-Infinity),
    End: () => go(Infinity),
    f: deeds["large-star"],
    c: deeds["large-compare"],
    v: deeds["large-vary"],
    Delete: deeds["large-delete"],
    z: actions.buttons.restore,
    " ": () => to(null),
  };

  dialog.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    const pressed = event.target.matches("button") && event.key === " ";
    if (!act || pressed || !large()) return;
    act(event);
    event.preventDefault();
    event.stopPropagation();
  });
  dialog.addEventListener("close", () => large() && to(null));
  dialog.addEventListener("click", ({ target }) => target === dialog && to(null));

  /** The picture beside one that is gone, or null. */
  function instead(state) {
    const all = neighbours({ ...state, large: { node: null } });
    return all[Math.min(place, all.length - 1)] ?? null;
  }

  function update(state) {
    if (!state.large) {
      opened = false;
      if (dialog.open) dialog.close();
      return;
    }
    const { node } = state.large;
    const run = runOfPicture(state, state.large);
    if (!run) return to(instead(state));
    const all = neighbours(state);
    place = Math.max(0, placeIn(all, state.large));
    const point = node === null ? run : nodeIn(run, node);
    attributes(image, { src: pictureUrl(run, node) || null, alt: namedIn(run, node) });
    image.style.setProperty("--ratio", String(run.size[0] / run.size[1]));
    put(name, { textContent: namedIn(run, node) });
    const words = run.name ? `${wordsOf(run)} · ` : "";
    const size = finishedSize(run, node).join(" × ");
    put(about, { textContent: `${words}${size} · seed ${run.seed} · ${run.status} · ${place + 1} of ${all.length}` });
    put(told, { textContent: state.notices.problem || state.notices.note });
    put($("large-back"), { disabled: place === 0 });
    put($("large-on"), { disabled: place >= all.length - 1 });
    attributes($("large-save"), { href: exportUrl(run, node, Math.max(...finishedSize(run, node)), "png") });
    put($("large-save"), { hidden: !run.nodes.length, textContent: `Save as PNG, ${size}` });
    fillStar($("large-star"), point?.favourite, titleOf(run));
    if (!opened) {
      opened = true;
      dialog.showModal();
      dialog.focus();
    }
    return undefined;
  }

  return { update };
}
