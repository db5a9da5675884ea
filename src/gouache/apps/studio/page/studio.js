// The page: what is shown, what is painted on, and what the buttons do.

import { get, post, remove, send, watch } from "./api.js";
import { Chips } from "./chips.js";
import { gallery, nodeUrl, plot, queue, tree, versus } from "./history.js";
import { Layer, listen } from "./layer.js";
import { Settings } from "./settings.js";

const $ = (id) => document.getElementById(id);
const SHEET = 768; // pixels of the longer side that is drawn on
const SWATCHES = ["#1b1a19", "#fffdf6", "#d8432b", "#e9a820", "#3d8a4a", "#2c6db5", "#7a4a2b"];
const ENDED = ["done", "stopped", "failed", "cancelled", "interrupted"];

const strokes = new Layer($("strokes"));
const mask = new Layer($("mask"));
const chips = new Chips($("prompt"), $("chips"), $("prompt-error"));
let settings;
let run = null; // the one that is shown, as the server told it last
let selected = null; // {run, node}: the point of the history that is shown
let runs = [];
let losses = [];
let unwatch = () => {};
let tool = "brush";
let start = null; // {id, url}: the picture to start from
const likes = []; // {id, url, weight}: pictures to paint towards
let comparing = null;
let shownVersion = -1;
let fetching = false;
let hasPicture = false;

function say(text) {
  $("status").textContent = text;
}

/** Runs an action; what goes wrong is said in one line, and nothing is lost. */
function doing(action) {
  return async (...values) => {
    try {
      await action(...values);
    } catch (error) {
      say(error.message);
    }
  };
}

// The picture and the sheets over it.

function sheets(width, height) {
  const scale = Math.max(1, Math.round(SHEET / Math.max(width, height)));
  for (const layer of [strokes, mask]) layer.resize(width * scale, height * scale);
}

function showImage(image) {
  const view = $("view");
  view.width = image.naturalWidth || image.width;
  view.height = image.naturalHeight || image.height;
  view.getContext("2d").drawImage(image, 0, 0);
  sheets(view.width, view.height);
  hasPicture = true;
  $("empty").hidden = true;
}

function loadImage(url) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("The picture cannot be shown."));
    image.src = url;
  });
}

async function nextFrame() {
  if (fetching || !run) return;
  fetching = true;
  const { id } = run;
  try {
    while (run?.id === id && !selected && shownVersion !== run.version && run.step + run.nodes.length) {
      const { version } = run;
      const image = await loadImage(`/api/runs/${id}/frame.jpg?v=${version}`);
      if (run?.id !== id || selected) break;
      showImage(image);
      shownVersion = version;
      $("view").dataset.frame = version;
    }
  } catch {
    // nothing painted yet; the next news asks again
  } finally {
    fetching = false;
  }
}

/** The picture with what was drawn on it, as PNG. */
async function composite() {
  const { width, height } = $("view");
  const both = document.createElement("canvas");
  Object.assign(both, { width: strokes.canvas.width, height: strokes.canvas.height });
  const pen = both.getContext("2d");
  pen.fillStyle = "#fffdf8";
  pen.fillRect(0, 0, both.width, both.height);
  if (hasPicture) pen.drawImage($("view"), 0, 0, both.width, both.height);
  pen.drawImage(strokes.canvas, 0, 0);
  const small = document.createElement("canvas");
  Object.assign(small, hasPicture ? { width, height } : { width: both.width, height: both.height });
  const brush = small.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.drawImage(both, 0, 0, small.width, small.height);
  return new Promise((done) => small.toBlob(done, "image/png"));
}

/** What stands for the picture as it is seen: a node of the history if nothing was drawn. */
async function seen() {
  if (!hasPicture && strokes.empty) throw new Error("There is no picture yet.");
  if (selected && strokes.empty) return `${selected.run}/${selected.node}`;
  return (await send("/api/images", await composite())).id;
}

const origin = () => (selected ? `${selected.run}/${selected.node}` : run ? run.id : "");

// Runs.

function follow(next) {
  unwatch();
  run = next;
  selected = null;
  losses = [];
  shownVersion = -1;
  if (ENDED.includes(run.status)) {
    get(`/api/runs/${run.id}`).then((told) => {
      if (run?.id !== told.id) return;
      losses = told.losses;
      plot($("plot"), losses);
    });
  } else {
    unwatch = watch(run.id, news);
  }
  show();
}

function news(told) {
  if (!run || told.id !== run.id) return;
  losses.length = Math.min(losses.length, told.losses_from);
  losses.push(...told.losses);
  const before = run.status;
  run = told;
  if (ENDED.includes(run.status)) unwatch();
  if (run.status !== before || run.nodes.length !== (runs.find((one) => one.id === run.id)?.nodes.length ?? 0)) {
    refresh();
  }
  show();
}

function clock(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  return `${Math.ceil(seconds / 60)} min left`;
}

function show() {
  const active = run && !ENDED.includes(run.status);
  const open = run && ["paused", "interrupted"].includes(run.status);
  $("progress").value = run?.num_steps ? run.step / run.num_steps : 0;
  $("clock").textContent = run
    ? `step ${run.step} of ${run.num_steps} ${run.status === "painting" ? clock(run.seconds_left) : ""}`
    : "";
  $("pause").disabled = !(open || (run && ["painting", "starting"].includes(run.status)));
  $("pause").firstChild.textContent = open ? "Continue " : "Pause ";
  $("stop").disabled = !active;
  $("delete").disabled = !run || !ENDED.includes(run.status);
  $("reuse").disabled = $("compare").disabled = !run;
  $("branch").disabled = !hasPicture && strokes.empty && !run;
  document.body.dataset.status = run?.status ?? "";
  if (run) {
    const told = {
      queued: `Waits; number ${run.position} in the queue.`,
      starting: "Loads the models and finds a start…",
      painting: "Paints. Pause it to paint on it yourself.",
      paused: "Paused. Draw on it, change the words, and continue.",
      interrupted: "The studio ended in the middle of this one. Continue paints on from its last step.",
      done: "Done. It is in the gallery.",
      stopped: "Stopped; the picture is kept.",
      cancelled: "Cancelled.",
      failed: `It failed: ${run.error}`,
    };
    say(told[run.status] ?? run.status);
    $("exports").hidden = !run.nodes.length;
    const base = `/api/runs/${run.id}`;
    $("save-png").href = selected ? nodeUrl(selected.run, selected.node) : `${base}/picture.png`;
    if (!selected && !run.picture) $("save-png").href = `${base}/frame.jpg`;
    $("save-json").href = `${base}/settings.json`;
    $("save-mp4").href = `${base}/timelapse.mp4`;
    $("save-gif").href = `${base}/timelapse.gif`;
  }
  plot($("plot"), losses);
  nextFrame();
}

async function refresh() {
  runs = (await get("/api/runs")).runs;
  gallery($("gallery"), runs, run?.id, (one) => follow(one));
  queue($("queue"), runs, follow, doing(async (one) => {
    await post(`/api/runs/${one.id}/cancel`);
    await refresh();
  }));
  if (run) {
    run = { ...runs.find((one) => one.id === run.id) ?? run };
    tree($("tree"), runs, run.id, selected, doing(choose));
  }
}

async function choose(one, node) {
  const url = nodeUrl(one.id, node);
  const name = `${one.prompt.slice(0, 30)} (${node})`;
  if (comparing) {
    const first = comparing;
    comparing = null;
    $("compare").textContent = "Compare with…";
    return versus($("versus"), first, { url, name });
  }
  if (run?.id !== one.id) follow(one);
  selected = { run: one.id, node };
  showImage(await loadImage(url));
  show();
  say("A point of the history. Paint on from this picture to branch from it.");
  tree($("tree"), runs, one.id, selected, doing(choose));
}

async function order(extra) {
  const document = { prompt: $("prompt").value, settings: settings.changed(), ...extra };
  const told = await post("/api/runs", document);
  strokes.clear(true);
  mask.clear(true);
  follow(told);
  await refresh();
  $("easel").scrollIntoView({ block: "nearest" });
}

const likeOrders = () => likes.map(({ id, weight }) => ({ image: id, weight }));

const paint = doing(() => order({ image: start?.id ?? null, image_prompts: likeOrders() }));

const branch = doing(async () => {
  const size = hasPicture ? { size: `${$("view").width}x${$("view").height}` } : {};
  const changed = { ...size, ...settings.changed() };
  const parent = origin();
  await order({ image: await seen(), parent, settings: changed, image_prompts: likeOrders() });
});

const repaint = doing(async () => {
  if (!$("replace").value.trim()) throw new Error("Say what it becomes.");
  const parent = origin();
  const image = await seen();
  const edit = { settings: settings.changed(true) };
  if (!mask.empty) edit.mask = (await send("/api/images", await maskBlob())).id;
  const { size, ...others } = settings.changed();
  await order({ prompt: $("replace").value, image, edit, parent, settings: others });
});

/** The mask as a picture, white where it is, at the picture's size. */
function maskBlob() {
  const flat = document.createElement("canvas");
  Object.assign(flat, { width: mask.canvas.width, height: mask.canvas.height });
  const pen = flat.getContext("2d", { willReadFrequently: true });
  pen.drawImage(mask.canvas, 0, 0);
  const pixels = pen.getImageData(0, 0, flat.width, flat.height);
  for (let k = 0; k < pixels.data.length; k += 4) {
    const value = pixels.data[k + 3] > 127 ? 255 : 0;
    pixels.data.set([value, value, value, 255], k);
  }
  pen.putImageData(pixels, 0, 0);
  return new Promise((done) => flat.toBlob(done, "image/png"));
}

const find = doing(async () => {
  const phrase = $("phrase").value;
  if (!phrase.trim()) throw new Error("Say what to look for.");
  $("mask-note").textContent = "Looks…";
  try {
    const told = await post("/api/masks", { image: await seen(), phrase });
    const image = await loadImage(`/api/images/${told.id}`);
    mask.remember();
    mask.context.clearRect(0, 0, mask.canvas.width, mask.canvas.height);
    mask.picture(image);
    const pixels = mask.context.getImageData(0, 0, mask.canvas.width, mask.canvas.height);
    for (let k = 0; k < pixels.data.length; k += 4) {
      pixels.data.set([255, 40, 120, pixels.data[k] > 127 ? 255 : 0], k);
    }
    mask.context.putImageData(pixels, 0, 0);
    $("mask-note").textContent = `Found: ${Math.round(100 * told.share)} % of the picture. Mend it with Mask and Unmask.`;
  } catch (error) {
    $("mask-note").textContent = error.message;
  }
});

const pause = doing(async () => {
  if (["paused", "interrupted"].includes(run.status)) {
    selected = null;
    if (!strokes.empty) {
      if (run.status === "interrupted") throw new Error("Continue it first, then pause and draw.");
      await send(`/api/runs/${run.id}/draw`, await strokes.blob());
    }
    const words = $("prompt").value.trim();
    await post(`/api/runs/${run.id}/continue`, words && words !== run.prompt && run.kind === "paint" ? { prompt: words } : {});
    strokes.clear(true);
    follow({ ...run, status: "queued" });
  } else {
    await post(`/api/runs/${run.id}/pause`);
  }
});

// Pictures by drop, paste and choice.

function figure(picture, drop, forget, weighted) {
  const box = document.createElement("figure");
  const image = document.createElement("img");
  image.src = picture.url;
  image.alt = "";
  const away = document.createElement("button");
  away.textContent = "Remove";
  away.addEventListener("click", (event) => {
    event.stopPropagation();
    forget();
    box.remove();
  });
  box.append(image);
  if (weighted) {
    const weight = document.createElement("input");
    Object.assign(weight, { type: "number", step: "0.1", value: 1 });
    weight.setAttribute("aria-label", "weight of the picture");
    weight.addEventListener("click", (event) => event.stopPropagation());
    weight.addEventListener("change", () => (picture.weight = Number(weight.value)));
    box.append(weight);
  }
  box.append(away);
  drop.append(box);
}

const take = doing(async (file, drop) => {
  const { id } = await send("/api/images", file);
  const picture = { id, url: `/api/images/${id}`, weight: 1 };
  if (drop.id === "start") {
    drop.querySelector("figure")?.remove();
    start = picture;
    figure(picture, drop, () => (start = null), false);
    if (!run || ENDED.includes(run.status)) {
      unwatch();
      run = selected = null;
      showImage(await loadImage(picture.url));
      show();
    }
    say("Painting starts from this picture.");
  } else {
    likes.push(picture);
    figure(picture, drop, () => likes.splice(likes.indexOf(picture), 1), true);
    say("Painting goes towards this picture too.");
  }
});

function pictures() {
  let target = $("start");
  for (const drop of [$("start"), $("like")]) {
    const choosing = () => {
      target = drop;
      $("file").click();
    };
    drop.addEventListener("click", choosing);
    drop.addEventListener("keydown", (event) => {
      if (event.target === drop && ["Enter", " "].includes(event.key)) choosing(), event.preventDefault();
    });
  }
  for (const drop of [$("start"), $("like"), $("stage")]) {
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const [file] = event.dataTransfer.files;
      if (file) take(file, drop.id === "like" ? drop : $("start"));
    });
  }
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (file) take(file, target);
    $("file").value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) take(file, $("start"));
  });
}

// Tools and keys.

function pick(next) {
  tool = next;
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }
}

function undo() {
  (tool.endsWith("mask") ? mask : strokes).undo();
}

function drawn(from, to, first) {
  if (run?.status === "painting") {
    if (first) say("Pause it first, then paint on it.");
    return;
  }
  const layer = tool.endsWith("mask") ? mask : strokes;
  if (first) layer.remember();
  const size = (Number($("brush-size").value) * layer.canvas.width) / 512;
  const color = layer === mask ? "rgb(255 40 120)" : $("color").value;
  layer.line(from, to, size, color, tool === "eraser" || tool === "unmask");
  $("branch").disabled = false;
}

function keys(event) {
  const writing = event.target.matches("input:not([type=range]), textarea, select");
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Enter") paint();
  else if (writing || $("versus").open) return;
  else if (command && event.key.toLowerCase() === "z") undo();
  else if (command || event.altKey) return;
  else if (event.key === " " && !event.target.matches("button, summary, .drop, a") && !$("pause").disabled) pause();
  else if ({ b: 1, e: 1, m: 1, n: 1 }[event.key]) {
    pick({ b: "brush", e: "eraser", m: "mask", n: "unmask" }[event.key]);
  } else if ("[]".includes(event.key)) {
    $("brush-size").value = Number($("brush-size").value) * (event.key === "]" ? 1.2 : 0.8);
  } else return;
  event.preventDefault();
}

async function begin() {
  const info = await get("/api/info");
  settings = new Settings(info, $("common"), $("all"), $("filter"));
  sheets(512, 512);
  for (const color of SWATCHES) {
    const button = document.createElement("button");
    button.style.background = color;
    button.setAttribute("aria-label", `Colour ${color}`);
    button.addEventListener("click", () => ($("color").value = color));
    $("swatches").append(button);
  }
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => pick(button.dataset.tool));
  }
  listen($("strokes"), drawn);
  pictures();
  document.addEventListener("keydown", keys);
  $("paint").addEventListener("click", paint);
  $("branch").addEventListener("click", branch);
  $("repaint").addEventListener("click", repaint);
  $("find").addEventListener("click", find);
  $("pause").addEventListener("click", pause);
  $("undo").addEventListener("click", undo);
  $("clear").addEventListener("click", () => (tool.endsWith("mask") ? mask : strokes).clear());
  $("stop").addEventListener("click", doing(() => post(`/api/runs/${run.id}/stop`)));
  $("reuse").addEventListener("click", doing(async () => {
    const told = await get(`/api/runs/${run.id}`);
    settings.fill(told.settings);
    $("prompt").value = told.prompt;
    await chips.read();
    say("Words and settings are those of this picture.");
  }));
  $("compare").addEventListener("click", () => {
    const url = $("view").toDataURL();
    comparing = comparing ? null : { url, name: run.prompt.slice(0, 30) };
    $("compare").textContent = comparing ? "…now choose the other" : "Compare with…";
  });
  $("delete").addEventListener("click", doing(async () => {
    if (!confirm("Delete this picture and its history for good?")) return;
    await remove(`/api/runs/${run.id}`);
    run = selected = null;
    $("tree").replaceChildren();
    show();
    await refresh();
  }));
  await refresh();
  const newest = runs.findLast((one) => !ENDED.includes(one.status)) ?? runs.at(-1);
  if (newest) {
    $("prompt").value = newest.prompt;
    chips.read();
    follow(newest);
    await refresh();
  }
  setInterval(() => {
    const active = runs.some((one) => ["queued", "starting", "painting"].includes(one.status));
    if (active) refresh().catch(() => {});
  }, 1500);
}

doing(begin)();
