// The panel of layers: sketches over the painting, to hide, blend, order, name and throw away.

import { $, attributes, icon, keyed, made, put } from "../nodes.js";

export function mount({ store, easel, doing }) {
  const act = (name, what, action, sign = name) => {
    const button = made("button", { className: `layer-${name}`, type: "button", title: what }, icon(sign));
    button.addEventListener("click", doing(action));
    return button;
  };

  function make({ id }) {
    const name = made("input", { className: "layer-name", maxLength: 60 });
    attributes(name, { "aria-label": "Name of the layer" });
    name.addEventListener("focus", () => easel.choose(id));
    name.addEventListener("change", () => easel.setLayer(id, { name: name.value.trim() || `Sketch ${id}` }));
    const opacity = made("input", { type: "range", min: "0", max: "100", className: "layer-opacity" });
    opacity.addEventListener("input", () => easel.setLayer(id, { opacity: opacity.value / 100 }, false));
    opacity.addEventListener("change", () => easel.setLayer(id, { opacity: opacity.value / 100 }));
    const hidden = () => store.state.sheets.list.find((one) => one.id === id).hidden;
    const item = made("li", {},
      act("show", "Show or hide", () => easel.setLayer(id, { hidden: !hidden() }), "eye"),
      act("choose", "Draw on this layer", () => easel.choose(id), "brush"),
      name, opacity,
      act("up", "Up", () => easel.moveLayer(id, 1)),
      act("down", "Down", () => easel.moveLayer(id, -1)),
      act("remove", "Remove (Undo brings it back)", () => easel.removeLayer(id), "close"));
    return item;
  }

  function fill(item, one) {
    const [show, choose, name, opacity, up, down, remove] = item.children;
    const { list, active } = store.state.sheets;
    attributes(item, { "aria-current": one.id === active ? "true" : null });
    attributes(choose, { "aria-label": `Draw on ${one.name}`, "aria-pressed": one.id === active });
    attributes(show, { "aria-label": `${one.hidden ? "Show" : "Hide"} ${one.name}`, "aria-pressed": !one.hidden });
    attributes(show.querySelector("use"), { href: `/page/icons.svg#${one.hidden ? "unseen" : "eye"}` });
    if (name !== document.activeElement) put(name, { value: one.name });
    attributes(opacity, { "aria-label": `Opacity of ${one.name}` });
    if (opacity !== document.activeElement) put(opacity, { value: String(Math.round(one.opacity * 100)) });
    for (const [button, word] of [[up, "Up"], [down, "Down"], [remove, "Remove"]]) {
      attributes(button, { "aria-label": `${word}: ${one.name}` });
    }
    put(up, { disabled: one === list.at(-1) });
    put(down, { disabled: one === list[0] });
    put(remove, { disabled: list.length === 1 && one.empty });
  }

  $("layer-add").addEventListener("click", doing(() => void easel.addLayer()));
  $("painting-show").addEventListener("input", ({ target }) => {
    easel.screen.fadeTo(target.value / 100);
  });

  function makeLaid({ id }) {
    const back = made("button", { type: "button" });
    back.addEventListener("click", doing(() => easel.recall(id)));
    return made("li", {}, back);
  }

  let known = null;

  function update({ sheets }) {
    if (sheets === known) return;
    known = sheets;
    keyed($("layers"), [...sheets.list].reverse(), ({ id }) => id, make, fill);
    keyed($("laid"), [...sheets.laid].reverse(), ({ id }) => id, makeLaid, (item, { name }) =>
      put(item.firstChild, { textContent: `Bring back: ${name}` }));
    put($("laid-in"), { hidden: !sheets.laid.length });
  }

  return { update };
}
