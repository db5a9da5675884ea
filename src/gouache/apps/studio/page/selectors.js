// What follows from the state: pure functions, no page and no server.

export const ENDED = ["done", "stopped", "failed", "cancelled", "interrupted"];
export const OPEN = ["paused", "interrupted"]; // what can go on
export const BUSY = ["queued", "starting", "painting"];
export const GOING = ["starting", "painting"];

export const brief = (text, length = 60) => (text.length > length ? `${text.slice(0, length)}…` : text);
/** The words of a run: those that count from its next step on, if there are such. */
export const wordsOf = (run) => run.words ?? run.prompt;
/** The words of a point of a run's history, null for those that nobody knows any more. */
function wordsAt(run, node) {
  const told = run.nodes.filter(({ kind }) => kind === "prompt");
  const before = told.findLast((one) => one.node <= node);
  if (node === null || !told.length) return wordsOf(run);
  return before?.prompt ?? null;
}
export const nodeUrl = (run, node) => `/api/runs/${run}/nodes/${node}.png`;

// The picture that is shown.

/** The run that is shown, as the server told it last; null on a sheet of one's own. */
export const runOf = ({ shown, runs }) => (shown && runs.get(shown.run)) ?? null;

/** The node of the history that is shown, null while the run itself is. */
export const nodeOf = ({ shown }) => shown?.node ?? null;

/** What is shown, as a parent is named: "run", "run/node", or "" without a run. */
export function placeOf(state) {
  const [run, node] = [runOf(state), nodeOf(state)];
  return node === null ? (run?.id ?? "") : `${run.id}/${node}`;
}

/** The picture that belongs into the view, null where there is none yet. `key` tells one from another. */
export function wantedPicture(state) {
  const [run, node, place] = [runOf(state), nodeOf(state), placeOf(state)];
  if (!run) {
    const { start } = state.sheet;
    return start && { place, key: `start ${start.id}`, url: start.url, frame: "" };
  }
  if (node !== null) return { place, key: place, url: nodeUrl(run.id, node), frame: "" };
  if (!(run.shown || run.step || run.nodes.length)) return null;
  const { id, version } = run;
  return { place, key: `${id}@${version}`, url: `/api/runs/${id}/frame.jpg?v=${version}`, frame: version };
}

/** Whether the view holds what is shown, or nothing is to be there. */
export const pictureIsThere = (state) => !wantedPicture(state) || state.sheet.place === placeOf(state);

// The picture that a mask and tries are of.

/** Whose tries a run is one of, and the try: {part, one}; null where it is none, or goes on by itself. */
function triedAs({ parts }, id) {
  for (const part of parts) {
    const one = part.tries.find((each) => each.id === id && !each.own);
    if (one) return { part, one };
  }
  return null;
}

/** The picture that a run is, as far as the hand goes: what it is a try on, or itself; a sheet of one's own for null. */
const subjectOfRun = (state, id) => (id === null ? `sheet ${state.subject}` : (triedAs(state, id)?.part.subject ?? id));
export const subjectOf = (state) => subjectOfRun(state, state.shown?.run ?? null);
/** Whether a run is the picture that is shown, as far as the hand goes. */
export const isSubject = (state, id) => subjectOf(state) === subjectOfRun(state, id);
/** The tries on the picture that is shown: {subject, base, mask, tries}; null where there are none. */
export const partOf = (state) => state.parts.find(({ subject }) => subject === subjectOf(state)) ?? null;
/** The tries that the shown picture was one of before it was kept; null where it was not, or they are gone. */
export const keptFrom = ({ parts, runs, shown }) =>
  parts.find(({ base, tries }) => runs.has(base.run) && tries.some(({ id, own }) => own && id === shown?.run)) ?? null;
/** The try that is shown: {id, words, version, masked, own}; null where that is none. */
export const tryOf = (state) => (state.shown && triedAs(state, state.shown.run)?.one) ?? null;

// What is painted together.

/** Those that the shown run is painted together with, itself among them; [] where it is alone. */
export function groupOf(state) {
  const group = runOf(state)?.group;
  if (!group) return [];
  const members = [...state.runs.values()].filter((run) => run.group === group);
  return members.length > 1 ? members : [];
}

/** Whether they lie over the easel as a grid: as long as they form, or if it was asked for. */
export function isGridded(state) {
  const members = groupOf(state);
  if (!members.length || nodeOf(state) !== null) return false;
  const { group, open } = state.four;
  if (group === members[0].group) return open;
  return members.some((run) => BUSY.includes(run.status));
}

/** Those that lie over the easel as a grid; [] where none do. */
export const gridOf = (state) => (isGridded(state) ? groupOf(state) : []);

/** Of those that are shown the one that takes longest: how far it is and when it is done are told. */
export function slowestOf(state) {
  const all = gridOf(state);
  const painting = all.filter(({ status }) => status === "painting");
  const going = painting.length ? painting : all.filter(({ status }) => status === "starting");
  const longest = (one, other) => ((other.seconds_left ?? 0) > (one.seconds_left ?? 0) ? other : one);
  return going.length ? going.reduce(longest) : runOf(state);
}

/** The runs whose events the page listens to. */
export function watched(state) {
  const run = runOf(state);
  const several = gridOf(state);
  const seen = several.length ? several : run ? [run] : [];
  return seen.filter(({ status }) => !ENDED.includes(status)).map(({ id }) => id);
}

/** Whether there are strokes over the picture. */
export const isDrawn = (state) => !state.layers.strokes.empty;

// Words.

/** The words of the picture that is shown, null where nobody knows. A try on a marked part says what that part
 * becomes; its picture is still what the picture before was. */
export function shownWords(state) {
  const run = runOf(state);
  const tried = run && triedAs(state, run.id);
  if (!tried?.one.masked) return run && wordsAt(run, nodeOf(state));
  const { run: before, node } = tried.part.base;
  return state.runs.has(before) ? wordsAt(state.runs.get(before), node) : null;
}

/** The words for a continued run, null where they are its own or it cannot take others. */
export function newWords(state) {
  const run = runOf(state);
  const words = state.draft.words.trim();
  if (!run || !OPEN.includes(run.status) || run.kind !== "paint") return null;
  return words && words !== wordsOf(run).trim() ? words : null;
}

/** Whether new words were written in the pause of the run that is shown, so that Go on takes them. */
export const typedHere = (state) => newWords(state) !== null && state.draft.typedFor === state.shown.run;

/** Whether Paint starts from what was drawn. A picture given to start from comes first. */
export const fromDrawing = (state) => isDrawn(state) && !(runOf(state) && state.draft.start);

/** Whether the bar has words that were written and neither sent nor those of a picture. */
export function isUnsent(state) {
  const run = runOf(state);
  const words = state.draft.words.trim();
  return words !== "" && words !== state.draft.known.trim() && !(run && words === wordsOf(run).trim());
}

/** What was asked for before, each once, newest last. */
export function askedBefore({ runs }) {
  const words = [...runs.values()].map(({ prompt }) => prompt).filter(Boolean);
  return [...new Set(words.reverse())].reverse();
}

/** Several wordings of what a part becomes, each once. */
export const wordings = (text) => [...new Set(` ${text} `.split(/\s+\/\s+/).map((one) => one.trim()).filter(Boolean))];

/** The prompt that the chips stand for. */
export function promptOf(stages) {
  const weighed = ({ source, weight, stop }) =>
    stop !== null ? `${source}:${weight}:${stop}` : weight !== 1 ? `${source}:${weight}` : source;
  const one = (part) => (part.place ? `${weighed(part)} @${part.place}` : weighed(part));
  return stages.map((parts) => parts.map(one).join(" | ")).join(" ^ ");
}

// Status.

const FILM = {
  painting: "Paints the film. Go through its frames at any time.",
  paused: "Paused. Press Go on.",
  done: "Done. The film is in the gallery.",
  stopped: "Stopped; what is painted of the film is kept. Go on paints the rest.",
};

/** A time in words, the rougher the longer it is. */
export function span(seconds) {
  if (seconds < 15) return `${Math.ceil(seconds)} s`;
  if (seconds < 90) return `about ${5 * Math.ceil(seconds / 5)} s`;
  return `about ${Math.ceil(seconds / 60)} min`;
}

export const clock = (seconds) => (seconds === null ? "" : `${span(seconds)} left`);

/** One's own pictures that are painted before a run that waits. */
export function aheadOf({ runs }, run) {
  if (run?.status !== "queued") return [];
  const before = ({ status, position }) => GOING.includes(status) || (status === "queued" && position < run.position);
  return [...runs.values()].filter((one) => one.id !== run.id && !(run.group && one.group === run.group) && before(one));
}

/** What a run waits for, in the words of who waits. */
function waitsFor(state, run) {
  const ahead = aheadOf(state, run);
  const others = run.position - 1 - ahead.filter(({ status }) => status === "queued").length;
  if (!ahead.length) return others > 0 ? `Waits its turn, number ${run.position}: others are painted first.` : "Waits its turn.";
  const words = new Set(ahead.map(wordsOf));
  const which = words.size === 1 && wordsOf(ahead[0]) ? `“${brief(wordsOf(ahead[0]), 30)}”` : "";
  const what = ahead.length > 1 ? `${ahead.length} pictures of ${which || "yours"}` : which || "a picture of yours";
  return `Waits for ${what}${others > 0 ? " and for others" : ""}.`;
}

/** How long it waits at least, in seconds; null where nobody knows. `more`: some of them have not begun. */
export function waitOf(state, run) {
  const ahead = aheadOf(state, run);
  const left = ahead.filter(({ status }) => GOING.includes(status)).map((one) => one.seconds_left ?? null);
  const known = left.length > 0 && !left.includes(null);
  return { left: known ? Math.max(...left) : null, more: ahead.length > left.length };
}

/** How far a run is, in the steps that were asked for: those of the part of the prompt that is painted now. What is
 * tried before the first step is told by `doing`. "" before and after. */
export function stepOf({ kind, status, step, num_steps: all, steps = [all], film }) {
  if (!all || ["queued", "starting", "cancelled"].includes(status)) return "";
  if (film && !film.painted) return `frame 1 of ${film.frames}, step ${step} of ${steps[0]}`;
  if (film) return `${film.painted} of ${film.frames} frames`;
  const parts = steps.length > 1 ? steps : Array(Math.max(1, Math.round(all / steps[0]))).fill(steps[0]);
  let [at, done] = [0, step];
  while (at < parts.length - 1 && done >= parts[at]) done -= parts[at++];
  const which = parts.length > 1 ? `part ${at + 1} of ${parts.length}, ` : kind === "edit" ? "the change, " : "";
  return `${which}step ${done} of ${parts[at]}`;
}

/** What is done before the first step, in a few words. The server does not tell of what takes a moment: between asking
 * for it and the first it tells the models are loaded, and when it has told all the first step is painted. */
const doingOf = ({ doing, step, shown }) =>
  doing || (step ? `goes on from step ${step}` : shown ? "begins to paint" : "loading the models");
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}…`;

/** What has become of strokes on a picture that is painted; "" where there were none. */
function takenIn({ nodes }) {
  const last = nodes.findLast(({ kind }) => kind === "drawn");
  return last ? `Goes on from your strokes, taken in at step ${last.step}.` : "";
}

/** The state of the picture in a line. */
export function statusLine(state) {
  const { asked } = state;
  const members = gridOf(state);
  const formed = members.filter(({ status }) => !BUSY.includes(status)).length;
  const several = formed < members.length ? `${formed} of ${members.length} done` : "Done";
  const [run, drawn] = [runOf(state), isDrawn(state)];
  if (state.busy.order && !(run && BUSY.includes(run.status))) return "Sends the order…";
  if (!run && drawn) return "Paint starts from what you drew.";
  if (!run) return state.draft.words.trim() ? "Ready: press Paint." : "Say what to paint.";
  if (nodeOf(state) !== null) {
    const point = run.nodes.find(({ node }) => node === nodeOf(state));
    if (point?.kind === "drawn") return `Your strokes as they were taken in at step ${point.step}. Go on paints from here, as a branch.`;
    return "A point of the history. Go on paints from here, as a branch.";
  }
  if (asked?.run === run.id && BUSY.includes(run.status)) return `${asked.what} after this step…`;
  if (run.film && FILM[run.status]) return FILM[run.status];
  return {
    queued: waitsFor(state, run),
    starting: members.length && run.sketches?.length
      ? "Tries several beginnings of each…"
      : sentence(doingOf(run)),
    painting: drawn || state.sheets.sent
      ? "Takes your strokes in soon; Undo works till then."
      : members.length
        ? "Paints. Press one to choose it."
        : takenIn(run) || "Paints. Draw on it at any time.",
    paused: drawn
      ? "Paused. Go on or Stop lays your strokes in."
      : members.length
        ? "Paused. Press one to choose it and draw on it."
        : "Paused. Draw on it, change the words, and go on.",
    interrupted: "The studio ended in the middle of this one. Go on paints from its last step.",
    done: drawn
      ? "Done. Go on paints from the picture with your strokes."
      : members.length
        ? `${several}. Press one to choose it.`
        : "Done. It is in the gallery.",
    stopped: drawn
      ? "Stopped. Go on paints from the picture with your strokes."
      : "Stopped; the picture is kept.",
    cancelled: "Cancelled. Reuse settings brings its words back.",
    failed: `It failed: ${run.error}`,
  }[run.status] ?? run.status;
}
