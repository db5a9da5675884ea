// The panels beside the easel: tabs, of which one is open or none. What is folded leaves the easel its room.

import { $, attributes, put } from "../nodes.js";

const MOVES = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export function mount({ store }) {
  const tabs = [...document.querySelectorAll("#tabs [role=tab]")];
  const nameOf = (tab) => tab.getAttribute("aria-controls").replace("panel-", "");
  const open = (panel) => store.dispatch({ type: "unfolded", panel });

  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener("click", () => open(store.state.panel === nameOf(tab) ? "" : nameOf(tab)));
    tab.addEventListener("keydown", (event) => {
      const move = MOVES[event.key];
      if (!move) return;
      tabs[(at + move + tabs.length) % tabs.length].focus();
      event.preventDefault();
    });
  }
  $("panels").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !store.state.panel) return;
    if (document.querySelector(":popover-open")) return; // that is closed, and nothing else
    const { panel } = store.state;
    open("");
    $(`tab-${panel}`).focus();
    event.preventDefault();
  });
  $("fold").addEventListener("click", () => open(""));

  function update({ panel, ready }) {
    attributes(document.body, { "data-ready": ready ? "" : null });
    attributes(document.body, { "data-panel": panel || null });
    for (const [at, tab] of tabs.entries()) {
      const selected = nameOf(tab) === panel;
      attributes(tab, { "aria-selected": selected });
      put(tab, { tabIndex: selected || (!panel && at === 0) ? 0 : -1 });
      put($(`panel-${nameOf(tab)}`), { hidden: !selected });
    }
  }

  return { update };
}
