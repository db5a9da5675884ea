// The page: what is shown, and what the buttons do. What was written and drawn stays until the server
// has taken it, and what is beside the picture always belongs to the picture.

import { get, post, remove, send, watch, whenReached } from "./api.js";
import { Chips } from "./chips.js";
import * as draft from "./draft.js";
import { Easel, loadImage } from "./easel.js";
import { brief, gallery, nodeUrl, plot, queue, tree, versus, wordsOf } from "./history.js";
import { complain, doing, note } from "./notices.js";
import { Pictures } from "./pictures.js";
import { Settings } from "./settings.js";
import { BUSY, clock, ENDED, OPEN, statusLine } from "./status.js";
import { Tools, toPicture } from "./tools.js";

const $ = (id) => document.getElementById(id);
const LOOK = 1500; // milliseconds between two looks at all runs
const SHEET = [512, 512];
const EMPTY = "An empty sheet. Write a few words and press Paint, or draw here: Paint starts from it.";

const easel = new Easel($("view"), $("strokes"), $("mask"), $("empty"));
const { strokes, mask, undo } = easel;
const tools = new Tools(easel);
const chips = new Chips($("prompt"), $("chips"), $("prompt-error"));
const pictures = new Pictures($("start"), $("like"), $("file"), doing, note, startChanged);
let settings;
let run = null; // the one that is shown, as the server told it last
let selected = null; // {run, node}: the point of the history that is shown
let runs = [];
let losses = [];
let unwatch = null; // ends the listening to `run`
let comparing = null;
let typedFor = ""; // the run in whose pause the words in the box were written
let sent = null; // {run, version}: strokes that the server has, though the picture has not yet
let asked = {}; // {run, what}: pause or stop, until it happens
let shownKey = ""; // the picture in the view: what it is,
let shownPlace = ""; // and whose
let looking = null;
let refreshing = null;
let changes = 0; // counts what makes an older list of runs wrong
let alive = true;
const busy = new Set(); // kinds of action that are under way

/** An action of a button: one at a time of its kind, and one for a double click. */
function acting(kind, action) {
  const act = doing(action);
  return async (event) => {
    if (busy.has(kind) || event?.detail > 1) return;
    busy.add(kind);
    render();
    try {
      await act(event);
    } finally {
      busy.delete(kind);
      render();
    }
  };
}

whenReached((now) => {
  if (now === alive) return;
  alive = now;
  $("connection").textContent = alive
    ? ""
    : "The studio does not answer. What you wrote and drew stays here; this page keeps trying.";
  if (alive) refresh().catch(() => {});
});

// The picture.

const place = () => (selected ? `${selected.run}/${selected.node}` : (run?.id ?? ""));

/** The picture that belongs into the view, null where there is none yet. */
function wanted() {
  if (selected) return { key: place(), url: nodeUrl(selected.run, selected.node), version: "" };
  if (!run || !(run.shown || run.step || run.nodes.length)) return null;
  const { id, version } = run;
  return { key: `${id}@${version}`, url: `/api/runs/${id}/frame.jpg?v=${version}`, version };
}

/** Fetches what is wanted until it is shown; frames come as fast as they can be shown. */
function look() {
  looking ??= (async () => {
    for (let next = wanted(); next && next.key !== shownKey; next = wanted()) {
      const here = place();
      const image = await loadImage(next.url).catch(() => null);
      if (here !== place()) continue; // another picture was chosen meanwhile
      if (image) {
        easel.show(image);
        shownPlace = here;
        $("view").dataset.frame = next.version;
      } else if (selected) complain(new Error("The picture cannot be shown; choose it again."));
      else return; // nothing painted yet; the next news asks again
      shownKey = next.key;
    }
  })().finally(() => {
    looking = null;
    buttons();
  });
  return looking;
}

/** What stands for the picture as it is seen: a node of the history if nothing was drawn. */
async function seen() {
  if (wanted() && shownPlace !== place()) await look();
  if (wanted() && shownPlace !== place()) throw new Error("The picture is not there yet; try again.");
  if (!easel.hasPicture && strokes.empty) throw new Error("There is no picture yet.");
  if (selected && strokes.empty) return place();
  const last = run?.nodes.at(-1);
  if (run && strokes.empty && last?.kind === "end") return `${run.id}/${last.node}`;
  return (await send("/api/images", await easel.composite())).id;
}

/** No run is shown: a sheet, empty or with the picture to start from. */
async function newSheet() {
  leave();
  run = null;
  const [width, height] = sheetSize();
  easel.blank(width, height, EMPTY);
  render();
  if (!pictures.start) return;
  const image = await loadImage(pictures.start.url);
  if (run) return;
  easel.show(image);
  render();
}

function sheetSize() {
  const size = /^(\d{1,4})\s*[x×, ]\s*(\d{1,4})$/.exec($("setting-size")?.value.trim() ?? "");
  const [width, height] = size ? [Number(size[1]), Number(size[2])] : SHEET;
  return Math.min(width, height) >= 8 && Math.max(width, height) <= 4096 ? [width, height] : SHEET;
}

async function startChanged(given) {
  keep();
  if (!run || (given && ENDED.includes(run.status))) await newSheet();
}

// Runs.

function leave() {
  unwatch?.();
  unwatch = null;
  selected = null;
  losses = [];
  shownKey = shownPlace = "";
}

/** Shows a run; `same`: the picture in the view is where it goes on from. */
function follow(next, same = false) {
  const other = run?.id !== next.id;
  leave();
  run = next;
  runs = runs.some((one) => one.id === next.id)
    ? runs.map((one) => (one.id === next.id ? next : one))
    : [...runs, next];
  if (same) {
    shownPlace = run.id;
    shownKey = wanted()?.key ?? ""; // until there is news: strokes that were sent stay to be seen
  } else if (other) {
    easel.blank(...run.size, ENDED.includes(run.status) ? "Nothing was painted." : "Nothing is painted yet.");
  }
  if (other && !same && !(strokes.empty && mask.empty)) {
    note("What you drew lies over this picture now. Undo or Clear takes it away.");
  }
  if (ENDED.includes(run.status)) recall(run.id);
  else unwatch = watch(run.id, news, () => refresh().catch(() => {}));
  keep();
  render();
}

/** The losses of a run that has ended. */
async function recall(id) {
  try {
    const told = await get(`/api/runs/${id}`);
    if (run?.id === id) plot($("plot"), (losses = told.losses));
  } catch (error) {
    complain(error);
  }
}

function news(told) {
  if (told.id !== run?.id) return;
  losses.length = Math.min(losses.length, told.losses_from);
  losses.push(...told.losses);
  if (told.version < run.version) shownKey = ""; // another server counts anew
  run = told;
  runs = runs.map((one) => (one.id === told.id ? told : one));
  if (ENDED.includes(run.status)) {
    unwatch?.();
    unwatch = null;
    changes += 1;
  }
  render();
}

/** The words for a continued run, null where they are its own or it cannot take others. */
function newWords() {
  const words = $("prompt").value.trim();
  if (!run || !OPEN.includes(run.status) || run.kind !== "paint") return null;
  return words && words !== wordsOf(run).trim() ? words : null;
}

const typedHere = () => newWords() !== null && typedFor === run.id;

/** Whether Paint starts from what was drawn. A picture given to start from comes first. */
const fromDrawing = () => !strokes.empty && !(run && pictures.start);

function buttons() {
  const active = run && !ENDED.includes(run.status);
  const open = run && OPEN.includes(run.status);
  const going = run && ["painting", "starting"].includes(run.status);
  const ordering = busy.has("order");
  const name = (id, text) => {
    if ($(id).firstChild.data !== text) $(id).firstChild.data = text;
  };
  const from = !run ? "Paint from your sketch " : "Paint from what you drew ";
  name("paint", fromDrawing() ? from : "Paint ");
  $("paint").disabled = $("repaint").disabled = ordering;
  $("branch").disabled = ordering || (!easel.hasPicture && strokes.empty && !run);
  const own = "Continue with its own words";
  name("pause", !open ? "Pause " : typedHere() ? "Continue with new words " : "Continue ");
  $("pause").disabled = !(open || going) || busy.has("run");
  $("other-words").hidden = newWords() === null;
  name("other-words", typedHere() ? own : "Continue with new words");
  $("other-words").disabled = busy.has("run");
  $("stop").disabled = !active || busy.has("run");
  $("delete").disabled = !run || !ENDED.includes(run.status) || busy.has("delete");
  $("reuse").disabled = $("compare").disabled = !run;
  $("find").disabled = busy.has("find");
  $("undo").disabled = !undo.past.length;
  $("redo").disabled = !undo.future.length;
  $("empty").hidden = easel.hasPicture || !strokes.empty;
  const line = statusLine(run, selected, !strokes.empty, asked);
  if ($("status").textContent !== line) $("status").textContent = line;
}

function render() {
  if (run && run.id === asked.run && !BUSY.includes(run.status)) asked = {};
  if (run && run.id === sent?.run && run.status !== "paused") sent = null;
  document.body.dataset.status = run?.status ?? "";
  $("progress").value = run?.num_steps ? run.step / run.num_steps : 0;
  $("clock").textContent = run
    ? `step ${run.step} of ${run.num_steps} ${run.status === "painting" ? clock(run.seconds_left) : ""}`
    : "";
  const warnings = run?.notes?.join(" · ") ?? "";
  if ($("warnings").textContent !== warnings) $("warnings").textContent = warnings;
  $("exports").hidden = !run?.nodes.length;
  if (run) {
    const base = `/api/runs/${run.id}`;
    $("save-png").href = selected ? nodeUrl(selected.run, selected.node) : `${base}/picture.png`;
    if (!selected && !run.picture) $("save-png").href = `${base}/frame.jpg`;
    $("save-json").href = `${base}/settings.json`;
    $("save-mp4").href = `${base}/timelapse.mp4`;
    $("save-gif").href = `${base}/timelapse.gif`;
  }
  buttons();
  plot($("plot"), losses);
  gallery($("gallery"), runs, run?.id, chooseRun);
  queue($("queue"), runs, chooseRun, cancel);
  tree($("tree"), runs, run?.id, selected, choose);
  look();
}

/** Looks at all runs, once at a time. */
function refresh() {
  refreshing ??= list().finally(() => (refreshing = null));
  return refreshing;
}

async function list() {
  let listed;
  let before;
  do {
    before = changes; // an older list does not know of the newest order or end
    listed = (await get("/api/runs")).runs;
  } while (before !== changes);
  // Of the run that is shown the events tell more, and earlier.
  runs = listed.map((one) => (unwatch && one.id === run?.id ? run : one));
  const found = run && runs.find((one) => one.id === run.id);
  if (found && !unwatch) {
    // Nobody tells of an ended run: it may go on in another window, or after a restart.
    if (ENDED.includes(found.status)) run = found;
    else follow(found, !selected && shownPlace === found.id);
  }
  if (run && !found) {
    unwatch?.();
    unwatch = run = selected = null;
    note("This picture was deleted elsewhere; what you see of it can still be painted on.");
  }
  render();
}

const known = (id) => runs.find((one) => one.id === id);

/** Of the gallery and the queue. */
function chooseRun(id) {
  const one = known(id);
  if (!one) return;
  if (comparing && one.picture) compared(`/api/runs/${id}/picture.png`, brief(one.prompt, 30));
  else doing(() => follow(one))();
}

/** Of the history. */
function choose(id, node) {
  const one = known(id);
  if (!one) return;
  const url = nodeUrl(id, node);
  if (comparing) return compared(url, `${brief(one.prompt, 30)} (${node})`);
  doing(() => {
    if (run?.id !== id) follow(one);
    selected = { run: id, node };
    shownKey = "";
    render();
  })();
}

function compared(url, name) {
  const first = comparing;
  comparing = null;
  $("compare").textContent = "Compare with…";
  versus($("versus"), first, { url, name });
}

const cancel = doing(async (id) => {
  await post(`/api/runs/${id}/cancel`);
  await refresh();
});

/** Queues a run. `same`: it starts from the picture in the view. `uses`: the version of the strokes
 * that are in its start, null if none are. */
async function order(extra, same, uses = null) {
  const asks = { prompt: $("prompt").value, settings: settings.changed(), ...extra };
  const next = await post("/api/runs", asks);
  changes += 1;
  if (uses !== null && uses === strokes.version) easel.taken();
  typedFor = "";
  follow(next, same);
  toPicture();
  $("easel").scrollIntoView({ block: "nearest" });
  await refresh();
}

/** The version of the strokes that `seen()` and `composite()` take along now. */
const drawn = () => (strokes.empty ? null : strokes.version);

async function paint() {
  const start = { image: pictures.start?.id ?? null, image_prompts: pictures.orders };
  if (!fromDrawing()) return order(start, !run && pictures.start !== null);
  if (run) return branch();
  const uses = drawn();
  const { id } = await send("/api/images", await easel.composite());
  return order({ ...start, image: id }, true, uses);
}

async function branch() {
  const size = easel.hasPicture ? { size: `${$("view").width}x${$("view").height}` } : {};
  const changed = { ...size, ...settings.changed() };
  const [parent, uses] = [place(), drawn()];
  const start = { image: await seen(), parent, image_prompts: pictures.orders };
  await order({ ...start, settings: changed }, true, uses);
}

async function repaint() {
  if (!$("replace").value.trim()) throw new Error("Say what it becomes.");
  const [parent, uses] = [place(), drawn()];
  const image = await seen();
  const edit = { settings: settings.changed(true) };
  if (!mask.empty) edit.mask = (await send("/api/images", await easel.maskBlob())).id;
  const { size, ...others } = settings.changed(false, false);
  await order({ prompt: $("replace").value, image, edit, parent, settings: others }, true, uses);
}

async function find() {
  const phrase = $("phrase").value;
  if (!phrase.trim()) throw new Error("Say what to look for.");
  $("mask-note").textContent = "Looks…";
  try {
    const here = place();
    const found = await post("/api/masks", { image: await seen(), phrase });
    const image = await loadImage(`/api/images/${found.id}`);
    if (here !== place()) throw new Error("The mask was for another picture; find it again.");
    easel.setMask(image);
    keep();
    $("mask-note").textContent = `Found: ${Math.round(100 * found.share)} % of the picture. Mend it with Mask and Unmask.`;
  } catch (error) {
    $("mask-note").textContent = error.message;
  }
}

/** Lays the strokes over a paused run, once; false where the server takes none now. */
async function layIn(id, status) {
  if (strokes.empty) return null;
  const { version } = strokes;
  if (sent?.run === id && sent.version === version) return version;
  try {
    await send(`/api/runs/${id}/draw`, await strokes.blob());
  } catch (error) {
    if (status === "interrupted" && error.status === 400) return null;
    throw error;
  }
  sent = { run: id, version };
  return version;
}

/** The strokes that `layIn` sent are in the picture now; later ones stay. */
function laid(id, version) {
  sent = null;
  if (version === null || version !== strokes.version) return;
  if (place() === id) easel.taken();
  else strokes.taken();
  keep();
}

async function goOn(words) {
  const { id, status } = run;
  if (selected && !strokes.empty) {
    selected = null;
    return note("This is the paused picture, and your strokes lie over it now. Continue lays them in.");
  }
  const version = await layIn(id, status);
  const next = await post(`/api/runs/${id}/continue`, words ? { prompt: words } : {});
  laid(id, version);
  if (typedFor === id) typedFor = "";
  if (run?.id === id) follow(next, shownPlace === id);
  if (!strokes.empty) note("It paints on without your strokes. Pause it, and Continue lays them in.");
}

async function pause() {
  if (OPEN.includes(run.status)) return goOn(typedHere() ? newWords() : null);
  const { id } = run;
  await post(`/api/runs/${id}/pause`);
  asked = { run: id, what: "Pauses" };
}

async function stop() {
  const { id, status } = run;
  const version = status === "paused" && !selected ? await layIn(id, status) : null;
  await post(`/api/runs/${id}/stop`);
  laid(id, version);
  asked = { run: id, what: "Stops" };
}

async function reuse() {
  const told = await get(`/api/runs/${run.id}`);
  settings.fill(told.settings);
  // As if it was typed, so that Ctrl Z in the box brings back what was there.
  $("prompt").select();
  if (!document.execCommand("insertText", false, wordsOf(told))) $("prompt").value = wordsOf(told);
  await chips.read();
  keep();
  note("Words and settings are those of this picture.");
}

async function erase() {
  const doomed = run;
  const points = doomed.nodes.length === 1 ? "1 point" : `${doomed.nodes.length} points`;
  const what = `“${brief(wordsOf(doomed), 100)}” (${doomed.status}, ${points} of history)`;
  if (!confirm(`Delete ${what} for good?`)) return;
  await remove(`/api/runs/${doomed.id}`);
  changes += 1;
  runs = runs.filter((one) => one.id !== doomed.id);
  if (run?.id === doomed.id) await newSheet();
  note(`Deleted: ${what}`);
  await refresh();
}

// Strokes.

function mayDraw() {
  if (run?.status === "painting" && !selected) {
    note("Pause it first, then paint on it.");
    return false;
  }
  if ($("note").textContent.startsWith("Pause it first")) note("");
  return true;
}

/** After each change by hand. */
function changed() {
  keep();
  buttons();
}

const actions = {
  paint: acting("order", paint),
  branch: acting("order", branch),
  repaint: acting("order", repaint),
  "new-sheet": doing(newSheet),
  find: acting("find", find),
  pause: acting("run", pause),
  "other-words": acting("run", () => goOn(typedHere() ? null : newWords())),
  stop: acting("run", stop),
  reuse: acting("reuse", reuse),
  delete: acting("delete", erase),
  undo: doing(() => undo.undo() && changed()),
  redo: doing(() => undo.redo() && changed()),
  clear: doing(() => {
    tools.layer.clear();
    changed();
  }),
  compare: () => {
    const url = $("view").toDataURL();
    comparing = comparing ? null : { url, name: brief(run.prompt, 30) };
    $("compare").textContent = comparing ? "…now choose the other" : "Compare with…";
  },
};

// What is not sent yet outlives a reload.

let keeping;

function keep() {
  clearTimeout(keeping);
  keeping = setTimeout(keepNow, 300);
}

function keepNow() {
  if (!settings) return;
  clearTimeout(keeping);
  const sheet = (one) => (one.empty ? null : one.canvas.toDataURL());
  draft.save({
    words: $("prompt").value,
    phrase: $("phrase").value,
    replace: $("replace").value,
    typedFor,
    settings: { ...settings.changed(), ...settings.changed(true) },
    start: pictures.start,
    likes: pictures.likes,
    run: run?.id ?? "",
    strokes: sheet(strokes),
    mask: sheet(mask),
  });
}

/** Puts back what an earlier load of this page in this tab had. */
async function recover(kept) {
  settings.fill(kept.settings ?? {});
  $("phrase").value = kept.phrase ?? "";
  $("replace").value = kept.replace ?? "";
  typedFor = kept.typedFor ?? "";
  if (kept.start) pictures.startFrom(kept.start);
  for (const like of kept.likes ?? []) pictures.towardsToo(like);
  for (const [one, url] of [[strokes, kept.strokes], [mask, kept.mask]]) {
    const image = url ? await loadImage(url).catch(() => null) : null;
    if (image) one.replace(image);
  }
}

async function begin() {
  const [info] = await Promise.all([get("/api/info"), refresh()]);
  const kept = draft.load();
  settings = new Settings(info, $("common"), $("all"), $("filter"));
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
  tools.listen(mayDraw, changed, actions);
  for (const name of ["input", "written"]) {
    $("prompt").addEventListener(name, () => {
      typedFor = run && OPEN.includes(run.status) ? run.id : "";
      changed();
    });
  }
  $("words").addEventListener("input", keep);
  $("masking").addEventListener("input", keep);
  $("setting-size").addEventListener("change", () => {
    if (!run && !easel.hasPicture) easel.blank(...sheetSize(), EMPTY);
  });
  addEventListener("pagehide", keepNow);
  addEventListener("beforeunload", (event) => {
    if (!strokes.empty) event.preventDefault();
  });
  easel.blank(...SHEET, EMPTY);
  await recover(kept);
  const going = (...statuses) => runs.findLast((one) => statuses.includes(one.status));
  const newest = kept.run === "" ? null : known(kept.run)
    ?? going("starting", "painting") ?? going("paused") ?? going("queued") ?? runs.at(-1);
  $("prompt").value = kept.words ?? (newest ? wordsOf(newest) : "");
  chips.read();
  if (newest) doing(() => follow(newest))();
  else await newSheet();
  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    const active = runs.some((one) => BUSY.includes(one.status));
    if (active || !alive || ticks % 8 === 0) refresh().catch(() => {});
  }, LOOK);
}

async function starting() {
  try {
    await begin();
    $("problem").textContent = "";
  } catch (error) {
    complain(error);
    if (!settings) setTimeout(starting, LOOK); // the studio did not answer yet
  }
}

starting();
