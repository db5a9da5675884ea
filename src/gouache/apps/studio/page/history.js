// The tree of a picture's history, the gallery, the queue, and the comparison of two pictures.

const KINDS = { start: "start", drawn: "drawn on", prompt: "new words", end: "end" };
export const brief = (text, length = 60) => (text.length > length ? `${text.slice(0, length)}…` : text);
/** The words of a run: those that count from its next step on, if there are such. */
export const wordsOf = (run) => run.words ?? run.prompt;
export const nodeUrl = (run, node) => `/api/runs/${run}/nodes/${node}.png`;

/** Whether `place` has to be made anew. What is the same stays: keyboard focus, and buttons that
 * are just being clicked. */
function differs(place, ...values) {
  const now = JSON.stringify(values);
  if (place.shows === now) return false;
  place.shows = now;
  return true;
}

function thumb(url, caption, pressed, chosen) {
  const button = document.createElement("button");
  button.className = "thumb";
  button.setAttribute("aria-pressed", pressed);
  if (url) {
    const image = document.createElement("img");
    image.src = url;
    image.alt = "";
    image.loading = "lazy";
    button.append(image);
  }
  button.append(caption);
  button.addEventListener("click", chosen);
  return button;
}

/** All runs that hang together with `id` by their parents, as a nested list. */
export function tree(place, runs, id, selected, choose) {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const parent = (run) => byId.get(run.parent.split("/")[0]);
  let root = byId.get(id);
  while (root && parent(root)) root = parent(root);
  const family = (run) => [run, ...runs.filter((one) => parent(one) === run).flatMap(family)];
  const shown = root ? family(root) : [];
  const told = shown.map((run) => [run.id, run.parent, wordsOf(run), run.status, run.nodes]);
  if (!differs(place, told, selected, id)) return;
  if (!root) {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "Each start, stroke, change of words and end appears here.";
    return place.replaceChildren(hint);
  }
  const item = (run) => {
    const li = document.createElement("li");
    const name = document.createElement("p");
    name.className = "run";
    if (run.id === id) name.setAttribute("aria-current", "true");
    const what = run.kind === "edit" ? "edit: " : "";
    name.textContent = `${what}${brief(wordsOf(run))} · ${run.status}`;
    const nodes = document.createElement("div");
    nodes.className = "thumbs";
    for (const node of run.nodes) {
      const pressed = selected?.run === run.id && selected.node === node.node;
      const words = node.prompt ? `: ${brief(node.prompt, 40)}` : "";
      const label = `${KINDS[node.kind] ?? node.kind} ${node.step}${words}`;
      const button = thumb(nodeUrl(run.id, node.node), label, pressed, () => choose(run.id, node.node));
      if (node.prompt) button.title = node.prompt;
      nodes.append(button);
    }
    li.append(name, nodes);
    const children = runs.filter((one) => parent(one) === run);
    if (children.length) {
      const list = document.createElement("ul");
      list.append(...children.map(item));
      li.append(list);
    }
    return li;
  };
  const list = document.createElement("ul");
  list.append(item(root));
  place.replaceChildren(list);
}

/** All that was painted, and what failed or was cancelled before: its words are worth keeping. */
export function gallery(place, runs, id, choose) {
  const hasPicture = (run) => run.picture || run.nodes.length;
  const shown = runs.filter((run) => hasPicture(run) || ["failed", "cancelled"].includes(run.status));
  shown.reverse();
  const told = shown.map((run) => [run.id, wordsOf(run), run.status, run.picture, run.nodes.length]);
  if (!differs(place, told, id)) return;
  place.replaceChildren(
    ...shown.map((run) => {
      const words = wordsOf(run);
      const last = run.nodes.length ? nodeUrl(run.id, run.nodes.at(-1).node) : "";
      const url = run.picture ? `/api/runs/${run.id}/picture.png` : last;
      const label = run.status === "done" ? brief(words, 40) : `${run.status}: ${brief(words, 28)}`;
      const button = thumb(url, label, run.id === id, () => choose(run.id));
      button.title = run.error ? `${words}: ${run.error}` : words;
      return button;
    }),
  );
  if (!shown.length) place.textContent = "Pictures stay here, after a restart too.";
}

export function queue(place, runs, show, cancel) {
  const active = runs.filter((run) => ["queued", "starting", "painting"].includes(run.status));
  active.sort((a, b) => a.position - b.position);
  if (!differs(place, active.map((run) => [run.id, wordsOf(run), run.status, run.position]))) return;
  place.replaceChildren(
    ...active.map((run) => {
      const item = document.createElement("li");
      const state = run.position ? `waits, number ${run.position}` : run.status;
      item.append(`${brief(wordsOf(run), 40)} (${state})`);
      const look = document.createElement("button");
      look.textContent = "Show";
      look.addEventListener("click", () => show(run.id));
      const end = document.createElement("button");
      end.textContent = run.position ? "Cancel" : "Stop";
      end.className = "cancel";
      end.addEventListener("click", () => cancel(run.id));
      item.append(look, end);
      return item;
    }),
  );
  if (!active.length) {
    const item = document.createElement("li");
    item.className = "hint";
    item.textContent = "Nothing waits.";
    place.append(item);
  }
}

export function versus(dialog, first, second) {
  const find = (id) => dialog.querySelector(`#${id}`);
  const split = find("split");
  find("before").src = first.url;
  find("after").src = second.url;
  find("versus-names").textContent = `left: ${first.name}, right: ${second.name}`;
  const cut = () => (find("before").style.clipPath = `inset(0 ${100 - split.value}% 0 0)`);
  split.oninput = cut;
  cut();
  find("close").onclick = () => dialog.close();
  dialog.showModal();
  split.focus();
}

export function plot(canvas, losses) {
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  if (losses.length < 2) return;
  const low = Math.min(...losses);
  const high = Math.max(...losses);
  const y = (loss) => 14 + ((high - loss) / (high - low || 1)) * (height - 22);
  const style = getComputedStyle(canvas);
  pen.strokeStyle = style.getPropertyValue("--red");
  pen.fillStyle = style.getPropertyValue("--soft");
  pen.lineWidth = 2;
  pen.beginPath();
  losses.forEach((loss, k) => pen.lineTo((k / (losses.length - 1)) * (width - 2) + 1, y(loss)));
  pen.stroke();
  pen.font = "13px system-ui, sans-serif";
  pen.fillText(`loss ${losses.at(-1).toFixed(3)} after ${losses.length} steps`, 4, 12);
}
