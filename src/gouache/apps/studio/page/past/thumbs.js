// Small pictures in lists: their nodes, and the arrow keys among them.

import { attributes, icon, made, put } from "../nodes.js";

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** A picture {run, node} with its caption, as a button. */
export function thumb(picture, chosen) {
  const image = made("img", { alt: "", loading: "lazy", decoding: "async", draggable: false });
  const shown = button("thumb", image, () => chosen(picture.run, picture.node));
  shown.append(made("span"));
  return Object.assign(shown, { picture, tabIndex: -1 });
}

export function fillThumb(button, { url, caption, title, pressed }) {
  const [image, words] = button.children;
  put(image, { hidden: !url });
  attributes(image, { src: url || null });
  put(words, { textContent: caption });
  attributes(button, { title, "aria-pressed": pressed });
}

/** A button, of words or an icon. */
export function button(className, content, act) {
  const node = made("button", { className }, content);
  node.addEventListener("click", act);
  return node;
}

/** The star of a favourite. */
export const star = (act) => button("star", icon("star"), act);

export function fillStar(button, on, name) {
  attributes(button, { "aria-pressed": Boolean(on), "aria-label": `Favourite: ${name}`, title: "Favourite" });
}

/** Where from `boxes[at]` the arrow of a way leads: the nearest in this direction, -1 if there is none. */
function neighbour(boxes, at, [x, y]) {
  if (x) return at + x < boxes.length ? at + x : -1;
  const middle = ({ left, width }) => left + width / 2;
  const [from, center] = [boxes[at], middle(boxes[at])];
  let [best, least] = [-1, Infinity];
  boxes.forEach((box, k) => {
    const away = y > 0 ? box.top - from.bottom : from.top - box.bottom;
    if (k === at || away < -box.height / 2) return;
    const far = Math.max(0, away) + 2 * Math.abs(middle(box) - center);
    if (far < least) [best, least] = [k, far];
  });
  return best;
}

/** What the keys do with the picture that has the focus; the same in every list. */
export const keysOf = (actions) => ({
  f: actions.like,
  c: actions.compare,
  v: actions.vary,
  e: actions.cross,
  " ": actions.large,
});

/** Makes a list of pictures one stop of the Tab key, within which the arrow keys lead on. Gives what is to be
 * called when the list has changed. `keys`: what other keys do with the picture that has the focus. */
export function arrows(list, keys = {}) {
  const all = () => [...list.querySelectorAll(".thumb")];

  function stopAt(node) {
    for (const other of list.querySelectorAll('.thumb[tabindex="0"]')) if (other !== node) other.tabIndex = -1;
    put(node, { tabIndex: 0 });
  }

  list.addEventListener("focusin", ({ target }) => {
    if (target.matches(".thumb")) stopAt(target);
  });
  list.addEventListener("keydown", (event) => {
    if (!event.target.matches(".thumb") || event.ctrlKey || event.metaKey || event.altKey) return;
    const [nodes, act] = [all(), keys[event.key]];
    const at = nodes.indexOf(event.target);
    let to = -1;
    if (event.key in WAYS) to = neighbour(nodes.map((node) => node.getBoundingClientRect()), at, WAYS[event.key]);
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = nodes.length - 1;
    else if (act) act(event.target.picture);
    else return;
    event.preventDefault();
    event.stopPropagation();
    nodes[to]?.focus();
  });
  list.addEventListener("keyup", (event) => {
    if (event.target.matches(".thumb") && event.key in keys) event.preventDefault(); // else a space clicks
  });

  return () => {
    const stop = list.querySelector('.thumb[tabindex="0"]') ?? list.querySelector(".thumb");
    if (stop) stopAt(stop);
  };
}
