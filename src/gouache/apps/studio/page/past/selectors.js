// What follows from the state of what was painted: pure functions.

import { brief, BUSY, ENDED, groupOf, nodeOf, nodeUrl, OPEN, runOf, wordsOf } from "../selectors.js";

const DAY = 86400000; // milliseconds
const SIDE = 320; // pixels of the longer side of a thumbnail
const LARGEST = 4096; // of a picture that is saved
const HOW = { vary: "varied", evolve: "evolved", edit: "a part changed", film: "moved", branch: "goes on" };
const COUNTS = { 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six" };
const NAMELESS = "Without words";
const STATES = { // of a run that is not done
  queued: "waits", starting: "begins", painting: "paints", paused: "paused", stopped: "stopped", failed: "failed",
  cancelled: "cancelled", interrupted: "interrupted", done: "",
};
const KINDS = { start: () => "beginning", drawn: ({ step }) => `your stroke, step ${step}`, prompt: ({ step }) => `new words, step ${step}` };
const ONLY = {
  all: () => true,
  favourites: (run) => run.favourite || run.nodes.some((node) => node.favourite),
  done: (run) => run.status === "done",
  open: (run) => !ENDED.includes(run.status) || run.status === "interrupted",
  stopped: (run) => run.status === "stopped",
  films: (run) => run.kind === "film",
  failed: (run) => ["failed", "cancelled"].includes(run.status),
};

// Pictures. One is {run, node}; node is null for the run as it is now.

export const titleOf = (run) => run.name || wordsOf(run) || NAMELESS;
export const stateOf = ({ status }) => STATES[status] ?? status;
export const runOfPicture = (state, picture) => (picture && state.runs.get(picture.run)) ?? null;
export const nodeIn = (run, node) => run.nodes.find((one) => one.node === node) ?? null;

/** A point of a run's history in an artist's words. */
export function pointName(run, point) {
  const ended = run.status === "done" ? `finished, ${point.step} steps` : `stopped at step ${point.step}`;
  return point.name || (KINDS[point.kind]?.(point) ?? ended);
}

/** The last point of the history of a run, null before it has any. */
export const lastNode = (run) => run.nodes.at(-1)?.node ?? null;

/** The point that stands for a picture: what a variation can be made of; null while it is being painted. */
export function pointOf(run, node) {
  if (node !== null) return `${run.id}/${node}`;
  return ENDED.includes(run.status) && run.nodes.length ? `${run.id}/${lastNode(run)}` : null;
}

/** A picture at its full size. */
export function pictureUrl(run, node) {
  if (node !== null) return nodeUrl(run.id, node);
  if (run.picture) return `/api/runs/${run.id}/picture.png`;
  return run.shown || run.step || run.nodes.length ? `/api/runs/${run.id}/frame.jpg?v=${run.version}` : "";
}

/** Whether there is a picture to see. */
export const isSeen = (run, node) => Boolean(run && pictureUrl(run, node));

/** A small one, made once by the server; "" where there is none yet. */
export function thumbUrl(run, node = null) {
  const point = node ?? lastNode(run);
  return point === null ? "" : `/api/runs/${run.id}/nodes/${point}/thumb?side=${SIDE}`;
}

/** A picture in a few words. */
export function namedIn(run, node) {
  const point = node === null ? null : nodeIn(run, node);
  const which = point ? ` (${pointName(run, point)})` : "";
  return brief(titleOf(run), 40) + which;
}

/** What two pictures are called beside each other: where they have the same words, by what tells them apart. */
export function toldApart(state, ...pictures) {
  const runs = pictures.map((one) => runOfPicture(state, one));
  const names = pictures.map(({ node }, at) => namedIn(runs[at], node));
  if (names[0] !== names[1]) return names;
  const [words] = runs.map((run) => brief(titleOf(run), 40));
  const points = pictures.map(({ node }, at) => (node === null ? "as it is now" : `${pointName(runs[at], nodeIn(runs[at], node))}, point ${node}`));
  const whens = runs.map(({ created }) => new Date(1000 * (created ?? 0)));
  const days = whens.map((when) => when.toLocaleDateString("en", { day: "numeric", month: "short" }));
  const times = whens.map((when) => when.toLocaleTimeString("en", { hour12: false }));
  const sizes = pictures.map(({ node }, at) => finishedSize(runs[at], node).join(" × "));
  const tells = [runs.map(({ seed }) => `seed ${seed}`), points, sizes, days, times];
  const [one, other] = tells.find(([a, b]) => a !== b) ?? ["the first", "the other one"];
  return [`${words} (${one})`, `${words} (${other})`];
}

/** What is shown, as a picture; null on a sheet of one's own. */
export function shownPicture(state) {
  const run = runOf(state);
  return run && { run: run.id, node: nodeOf(state) };
}

/** Whether that is a run which waits to go on, and no point of its history. */
export const isWaiting = (state) => OPEN.includes(runOf(state)?.status) && nodeOf(state) === null;

// What is painted together.

/** Their places, in order: [{id, run}]. `run` is null where it was discarded and can come back. */
export function seatsOf(state) {
  const ids = groupOf(state).map(({ id }) => id);
  const discarded = state.trash.flatMap(({ runs }) => runs);
  const seats = state.four.seats.filter((id) => ids.includes(id) || discarded.includes(id));
  const all = [...seats, ...ids.filter((id) => !seats.includes(id))];
  return all.map((id) => ({ id, run: state.runs.get(id) ?? null }));
}

/** The beginnings of the shown run (sketches of its start), while one can be chosen; [] else. Who painted several has
 * those to choose from, and is not asked again. */
export function sketchesOf(state) {
  const run = runOf(state);
  if (run?.status !== "starting" || nodeOf(state) !== null || run.group) return [];
  return run.sketches ?? [];
}

/** What they are, and what becomes of them. */
export function sketchesSay({ sketches, choice }) {
  if (sketches.length === 1) return ["How your picture begins.", ""];
  if (choice !== null) return [choice ? "Goes on from the one that you chose." : "Goes on from the best so far.", ""];
  const count = COUNTS[sketches.length] ?? sketches.length;
  return [`${count} ways to begin your one picture.`, "The best so far is large, and is chosen by itself. Or press another."];
}

/** The number of the beginning that stands for a picture which is being begun, and can be gone on from as it is shown;
 * null where there is none. */
export function shownSketch({ status, sketches = [], leads, choice }) {
  return status === "starting" && sketches.length && choice === null ? leads : null;
}

/** What is shown of a picture that is being begun. */
export function beginsAs(run) {
  if (!run.sketches?.length) return run.doing || stateOf(run);
  if (run.choice || run.sketches.length < 2) return "begins";
  return `trying ${run.sketches.length} beginnings; this one is ahead`;
}

// Lists.

/** What is painted or waits, in order. */
export function queueOf({ runs }) {
  const active = [...runs.values()].filter((run) => BUSY.includes(run.status));
  return active.sort((a, b) => a.position - b.position);
}

/** What was painted or waits, newest first, and what failed or was cancelled before (its words are worth keeping), of
 * the kind that is asked for, if it has all the words that are sought. */
export function galleryOf({ runs, gallery: { sought, only } }) {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (run) => ONLY[only](run) && words.every((word) => hasWord(run, word));
  return [...runs.values()].filter(found).reverse().sort((a, b) => (b.created ?? 0) - (a.created ?? 0));
}

/** The day of a time in seconds, as people say it. */
export function dayOf(created) {
  const [day, now] = [new Date(created * 1000), new Date()];
  const date = day.toDateString();
  if (date === now.toDateString()) return "Today";
  if (date === new Date(now - DAY).toDateString()) return "Yesterday";
  return dateOf(day, day.getFullYear() === now.getFullYear() ? undefined : "numeric");
}

const dateOf = (day, year) => day.toLocaleDateString("en", { weekday: "long", day: "numeric", month: "long", year });

/** Whether a run's words, names, seed or day, in words or as a date, have a word. */
export function hasWord(run, word) {
  const texts = [run.prompt, run.words, run.name, run.status, String(run.seed ?? "")];
  if (run.created) texts.push(dayOf(run.created), dateOf(new Date(run.created * 1000), "numeric"));
  for (const node of run.nodes) texts.push(node.name, node.prompt);
  return texts.some((text) => text?.toLowerCase().includes(word));
}

/** The ids of the runs that a run came from, the first of which it hangs on in the tree. */
export function parentsOf(run) {
  const all = run.parents?.length ? run.parents : [run.parent];
  return all.filter(Boolean).map((place) => {
    const [id, node] = place.split("/");
    return { run: id, node: node === undefined ? null : Number(node) };
  });
}

/** All runs that hang together with the one that is shown by their first parents: {run, children}, or null.
 * Children are in the order of the points they came from. */
export function treeOf(state) {
  const parent = (run) => state.runs.get(parentsOf(run)[0]?.run);
  let root = runOf(state);
  if (!root) return null;
  while (parent(root)) root = parent(root);
  const children = new Map();
  for (const run of state.runs.values()) {
    const id = parent(run)?.id;
    children.set(id, [...(children.get(id) ?? []), run]);
  }
  const from = (run) => parentsOf(run)[0].node ?? Infinity;
  const grown = (run) => {
    const own = (children.get(run.id) ?? []).toSorted((a, b) => from(a) - from(b) || 0);
    return { run, children: own.map(grown) };
  };
  return grown(root);
}

/** Where a run came from, in words: "varied from start 0 of a red apple". "" for one that begins a tree. */
export function originOf(state, run) {
  const how = HOW[run.how || (run.kind === "edit" ? "edit" : "branch")];
  const all = parentsOf(run).map((one) => ({ ...one, known: state.runs.get(one.run) }));
  if (!all.length) return "";
  const places = all.map(({ known, node }) => {
    if (!known) return "a picture that is gone";
    const point = node === null ? null : nodeIn(known, node);
    const where = point ? `“${pointName(known, point)}”` : "";
    return all.length > 1 ? brief(titleOf(known), 20) : where;
  });
  return `${how}${places[0] ? ` from ${places.join(" and ")}` : ""}`;
}

// Saving.

/** How many times larger a picture is than it was painted: a finished one may be drawn larger. */
export function drawnLarger(run, node) {
  const finished = run.picture && (node === null || nodeIn(run, node)?.kind === "end");
  return finished ? (run.scale ?? 1) : 1;
}

/** The pixels that a picture has, as it is saved: those inside, in which it is painted, are nobody's concern. */
export const finishedSize = (run, node) => run.size.map((side) => side * drawnLarger(run, node));

/** The sizes a picture can be saved at: [{side, width, height, own}]; `own` is what it has. */
export function sizesOf(run, node) {
  const [width, height] = run.size;
  const own = drawnLarger(run, node);
  return [1, 2, 4, 8]
    .map((scale) =>
      ({ side: scale * Math.max(width, height), width: scale * width, height: scale * height, own: scale === own }))
    .filter(({ side, own: same }) => same || side <= LARGEST);
}

export function exportUrl(run, node, side, format) {
  const place = node === null ? `/api/runs/${run.id}` : `/api/runs/${run.id}/nodes/${node}`;
  return `${place}/export?side=${side}&format=${format}`;
}
