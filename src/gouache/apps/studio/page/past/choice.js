// What there is to choose from: beginnings of a picture, beside the one on the easel that leads; and pictures that are
// painted together, over the easel.

import { $, attributes, icon, keyed, made, put } from "../nodes.js";
import { BUSY, ENDED, gridOf, groupOf, isGridded, runOf } from "../selectors.js";
import { menuOf } from "./menu.js";
import {
  beginsAs, namedIn, pictureUrl, pointOf, seatsOf, shownSketch, sketchesOf, sketchesSay, stateOf, thumbUrl,
} from "./selectors.js";
import { button } from "./thumbs.js";

const LARGE = 1024; // pixels: of what is larger a thumbnail is shown
const DEEDS = {
  keep: "Favourite: marks it with a star, here and in the gallery",
  compare: "Compare: shows it beside another one",
  more: "More: vary, evolve, discard",
  vary: "Vary: paints four more that are like it",
  evolve: "Evolve: paints four children of it and another picture",
  discard: "Discard: throws it away; Undo brings it back",
};

/** A picture that changes: `bring(url)` shows the newest as soon as the one before is there. */
function picture() {
  const image = made("img", { alt: "", draggable: false, hidden: true });
  let [wanted, shown, under] = ["", "", false];
  function next() {
    put(image, { hidden: wanted === "" });
    under = wanted !== shown && wanted !== "";
    if (!under) return;
    shown = wanted;
    image.src = shown;
  }
  for (const end of ["load", "error"]) image.addEventListener(end, next);
  image.bring = (url) => {
    wanted = url;
    if (!under) next();
  };
  return image;
}

/** A tile: a picture that is a button, in its shape, and what belongs to it. */
function tileOf(kind, shown, ...others) {
  const plate = made("div", { className: "plate" }, made("div", { className: "room" }, ...shown), ...others);
  return made("li", { className: kind }, plate);
}
const partsOf = (tile) => tile.firstChild.children;
const pickOf = (tile) => partsOf(tile)[0].firstChild;
function shape(tile, { size: [width, height] }) {
  tile.style.setProperty("--ratio", String(width / height));
}

/** What shows a run as it is now. */
function urlOf(run) {
  if (ENDED.includes(run.status) && Math.max(...run.size) > LARGE) return thumbUrl(run);
  return pictureUrl(run, null);
}

export function mount({ store, actions, sync }) {
  const [grid, tiles, title] = ["grid", "tiles", "grid-title"].map($);
  const [foot, best, spread] = ["four-foot", "take-best", "spread"].map($);
  const one = (run) => ({ run, node: null });
  const [stage, told] = ["stage", "told"].map($); // what lies over the easel ends where it begins
  new ResizeObserver(() => stage.style.setProperty("--told", `${told.offsetHeight}px`)).observe(told);
  const coming = new Set(); // the runs whose frames come by themselves

  sync.see((id, { image }) => {
    coming.add(id);
    const tile = [...tiles.children].find(({ key }) => key === `run ${id}`);
    if (tile) pickOf(tile).firstChild.bring(image);
  });

  spread.addEventListener("input", () => store.dispatch({ type: "spread", spread: Number(spread.value) / 100 }));
  best.addEventListener("click", () => actions.sketch(runOf(store.state).id, 0));
  $("four-known").addEventListener("click", () => store.dispatch({ type: "explained" }));
  $("four-close").addEventListener("click", () => actions.grid(false));
  $("four-others").addEventListener("click", () => {
    actions.discard(gridOf(store.state).filter((run) => !run.favourite).map(({ id }) => id));
  });

  // Beginnings.

  function makeSketch({ run, number }) {
    const pick = made("button", { className: "pick" }, picture(), made("span", { className: "state" }));
    pick.addEventListener("click", () => actions.sketch(run.id, number));
    return tileOf("tile sketch", [pick]);
  }

  function fillSketch(tile, { number, step, url, run }) {
    const pick = pickOf(tile);
    shape(tile, run);
    pick.firstChild.bring(`${url}?v=${step}`);
    const chosen = run.choice === number || (run.choice === 0 && run.leads === number);
    const leads = chosen || run.leads === number;
    const says = chosen ? "chosen" : leads ? "best so far" : "";
    put(pick.children[1], { textContent: says, hidden: !says });
    tile.classList.toggle("kept", run.choice === null ? leads : chosen);
    attributes(pick, { "aria-label": `Choose beginning ${number}${says ? ` (${says})` : ""}`, title: "Choose this one: it is painted to its end" });
  }

  // Pictures painted together.

  function makeRun({ run: { id } }) {
    const alone = made("span", { className: "alone", textContent: "Choose this one" });
    const pick = made("button", { className: "pick" }, picture(), made("span", { className: "state" }), alone);
    const stop = made("button", { className: "stop" }, icon("stop"), "Stop");
    stop.addEventListener("click", () => actions.stopOne(id));
    pick.addEventListener("click", () => actions.pick(id));
    const keep = button("keep", "Favourite", () => actions.like(one(id)));
    const compare = button("compare", "Compare", () => actions.withThis(one(id)));
    const more = made("button", { className: "more", textContent: "More" });
    const menu = made("div", {},
      button("vary", "Vary", () => actions.vary(one(id))),
      button("evolve", "Evolve", () => actions.evolveWith(one(id))),
      button("discard", "Discard", () => actions.discard([id])));
    for (const [at, says] of ["four more like it", "cross it with another", "throw it away"].entries()) {
      menu.children[at].append(made("small", { textContent: says }));
    }
    attributes(menu, { role: "group" });
    menuOf(more, menu);
    const bar = made("progress", { max: 1 });
    attributes(bar, { "aria-label": "Progress" });
    const deeds = made("div", { className: "deeds" }, keep, compare, more, menu);
    return tileOf("tile", [pick, stop], bar, deeds);
  }

  function fillRun(tile, { run, number, pair, busy }) {
    const [{ children: [pick, stop] }, bar, deeds] = partsOf(tile);
    shape(tile, run);
    const [image, state] = pick.children;
    if (!(coming.has(run.id) && ["starting", "painting"].includes(run.status))) image.bring(urlOf(run));
    const says = run.status === "starting" ? beginsAs(run) : stateOf(run);
    put(state, { textContent: says, hidden: !says });
    const first = pair?.first.run === run.id;
    tile.classList.toggle("kept", Boolean(run.favourite));
    tile.classList.toggle("first", first);
    tile.classList.toggle("forms", BUSY.includes(run.status));
    tile.classList.toggle("over", ENDED.includes(run.status));
    const name = `picture ${number}, seed ${run.seed}`;
    attributes(pick, { "aria-label": `Choose ${name}${says ? ` (${says})` : ""}`, title: `Choose this one${shownSketch(run) ? ", as it is shown" : ""}: ${namedIn(run, null)}` });
    put(stop, { hidden: !BUSY.includes(run.status) });
    attributes(stop, { "aria-label": `Stop ${name}`, title: "Stop this one; the picture is kept" });
    put(bar, { value: run.num_steps ? run.step / run.num_steps : 0 });
    attributes(bar, { "aria-label": `Progress of ${name}` });
    const [keep, compare, more, menu] = deeds.children;
    const [vary, evolve, discard] = menu.children;
    const early = pointOf(run, null) === null;
    const later = early ? ". Possible when it is done or stopped" : "";
    attributes(keep, { "aria-pressed": Boolean(run.favourite), "aria-label": `Favourite: ${name}`, title: DEEDS.keep });
    attributes(compare, { "aria-label": `${pair && !first ? "With this: " : "Compare "}${name}`, title: DEEDS.compare, "aria-pressed": first });
    put(compare, { disabled: !pictureUrl(run, null), textContent: !pair ? "Compare" : first ? "This and…" : "…with this" });
    attributes(more, { "aria-label": `More: ${name}`, title: DEEDS.more });
    attributes(menu, { "aria-label": name });
    attributes(vary, { "aria-label": `Vary ${name}`, title: DEEDS.vary + later });
    attributes(evolve, { "aria-label": `Evolve ${name}`, title: DEEDS.evolve + later });
    attributes(discard, { "aria-label": `Discard ${name}`, title: DEEDS.discard });
    put(vary, { disabled: early || busy });
    put(evolve, { disabled: early || busy });
  }

  // What was discarded keeps its place.

  function makeGone({ gone }) {
    const back = button("back", "Bring back", () => actions.bringBack(gone));
    return tileOf("gone", [made("p", { textContent: "Discarded" }), back]);
  }

  function fillGone(tile, { like, number, busy }) {
    shape(tile, like);
    const back = pickOf(tile).nextSibling;
    attributes(back, { "aria-label": `Bring back picture ${number}` });
    put(back, { disabled: busy });
  }

  const KINDS = {
    sketch: { key: ({ run, number }) => `sketch ${number} of ${run.id}`, make: makeSketch, fill: fillSketch },
    run: { key: ({ run }) => `run ${run.id}`, make: makeRun, fill: fillRun },
    gone: { key: ({ gone }) => `gone ${gone}`, make: makeGone, fill: fillGone },
  };
  const kindOf = ({ gone, url }) => KINDS[gone ? "gone" : url ? "sketch" : "run"];

  function seatedIn(state) {
    const [first] = groupOf(state);
    return seatsOf(state).map(({ id, run }, at) => run
      ? { run, number: at + 1, pair: state.pair, busy: Boolean(state.busy.order) }
      : { gone: id, number: at + 1, like: first, busy: Boolean(state.busy.restore) });
  }

  function update(state) {
    const [run, gridded] = [runOf(state), isGridded(state)];
    const members = gridded ? groupOf(state) : [];
    const sketches = sketchesOf(state);
    if (gridded && state.four.group !== run.group) {
      // Those that form stay in sight when they are done.
      return store.dispatch({ type: "gridded", group: run.group, open: true });
    }
    const items = gridded ? seatedIn(state) : sketches.map((sketch) => ({ run, ...sketch }));
    put(grid, { hidden: !items.length });
    put(grid.dataset, { of: gridded ? "four" : "sketches", count: items.length > 6 ? "many" : String(items.length) });
    keyed(
      tiles,
      items,
      (item) => kindOf(item).key(item),
      (item) => kindOf(item).make(item),
      (tile, item) => kindOf(item).fill(tile, item),
    );
    if (!items.length) return undefined;
    const [what, then] = gridded ? ["", ""] : sketchesSay(run);
    put(title, { textContent: what });
    put($("grid-more"), { textContent: then });
    put(best, { hidden: gridded, disabled: run.choice !== null });
    put(foot, { hidden: !gridded });
    put($("four-hint"), { hidden: !gridded || state.explained });
    put(spread, { value: String(Math.round(100 * state.spread)) });
    const kept = members.filter((member) => member.favourite).length;
    put($("four-others"), { hidden: !kept || kept === members.length });
    return undefined;
  }

  return { update };
}
