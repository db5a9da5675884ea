// The comparison of two pictures.

import { $, attributes, put } from "../nodes.js";

export function mount({ store }) {
  const [dialog, split] = [$("versus"), $("split")];
  const cut = () => ($("before").style.clipPath = `inset(0 ${100 - split.value}% 0 0)`);
  split.addEventListener("input", cut);
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => store.dispatch({ type: "versus", second: null }));

  function update({ versus }) {
    if (!versus || dialog.open) return;
    const { first, second } = versus;
    attributes($("before"), { src: first.url });
    attributes($("after"), { src: second.url });
    put($("versus-names"), { textContent: `left: ${first.name}, right: ${second.name}` });
    cut();
    dialog.showModal();
    split.focus();
  }

  return { update };
}
