// What was written and drawn but not sent yet: it outlives a reload of the page, in this tab only.

import { isDrawn } from "../selectors.js";
import { keptOf } from "../store.js";

const NAME = "gouache-draft";
const PAUSE = 300; // milliseconds without a change until it is kept

/** What an earlier load of this page left. */
export function load() {
  try {
    return JSON.parse(sessionStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // no storage in this browser, or nothing that can be read
  }
}

/** `draft` as JSON; without its drawings where they are too large for the browser. */
function save(draft) {
  try {
    sessionStorage.setItem(NAME, JSON.stringify(draft));
  } catch {
    try {
      sessionStorage.setItem(NAME, JSON.stringify({ ...draft, drawn: null }));
    } catch {
      // no storage: the question before the page is left remains
    }
  }
}

export function mount({ store, easel }) {
  let kept = []; // the parts of the state that were kept last
  let timer;

  function keep() {
    const { state } = store;
    clearTimeout(timer);
    if (!state.ready) return;
    save({ ...keptOf(state), drawn: easel.keep() });
  }

  addEventListener("pagehide", keep);
  addEventListener("beforeunload", (event) => {
    if (isDrawn(store.state)) event.preventDefault();
  });

  function update(state) {
    const parts = [state.layers, state.sheets, JSON.stringify(state.ready ? keptOf(state) : {})];
    if (parts.every((part, at) => part === kept[at])) return;
    kept = parts;
    clearTimeout(timer);
    timer = setTimeout(keep, PAUSE);
  }

  return { update };
}
