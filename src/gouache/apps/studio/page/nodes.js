// Nodes of the page, found, made and brought in line in place.

export const $ = (id) => document.getElementById(id);

/** Sets the properties of a node that are not so already: what is the same stays untouched. */
export function put(node, values) {
  for (const [name, value] of Object.entries(values)) {
    if (node[name] !== value) node[name] = value;
  }
  return node;
}

/** Like `put`, of attributes; null takes one away. */
export function attributes(node, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  return node;
}

/** Whether a part of a node lies over another one, as they are on the page. */
export function laysOver(node, other) {
  const [a, b] = [node, other].map((one) => one.getBoundingClientRect());
  return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
}

/** An icon of icons.svg, beside a name that says the same. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS(space, tag));
  attributes(svg, { class: "icon", "aria-hidden": "true" });
  attributes(use, { href: `/page/icons.svg#${name}` });
  svg.append(use);
  return svg;
}

/** A new element with properties and children. */
export function made(tag, values = {}, ...children) {
  const node = Object.assign(document.createElement(tag), values); // an empty alt too
  node.append(...children);
  return node;
}

/** A picture from its address, loaded. */
export function loadImage(url) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("The picture cannot be shown."));
    image.src = url;
  });
}

/** Makes the children of `parent` those of `items`, in order. A child stays the same node as long as there
 * is an item with its key: `make(item)` makes it once, `fill(node, item)` brings it in line each time.
 * The focus stays where it is. If its own node went, it goes to `parent`, and never to a neighbour: a key
 * that is just being pressed may mean harm to that one. */
export function keyed(parent, items, keyOf, make, fill) {
  const focus = parent.contains(document.activeElement) ? document.activeElement : null;
  const known = new Map([...parent.children].map((node) => [node.key, node]));
  const nodes = items.map((item) => {
    const key = keyOf(item);
    const node = known.get(key) ?? Object.assign(make(item), { key });
    known.delete(key);
    fill(node, item);
    return node;
  });
  for (const gone of known.values()) gone.remove();
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  if (!focus || document.activeElement === focus) return;
  if (!focus.isConnected) parent.tabIndex = -1;
  (focus.isConnected ? focus : parent).focus({ preventScroll: true });
}
