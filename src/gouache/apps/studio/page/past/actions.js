// What is done with what was painted before.

import { brief, nodeUrl, wordsOf } from "../selectors.js";

export function makeActions({ store, server, easel, words, sync, doing, work }) {
  const { acting, dispatch, note, run } = work;

  async function reuse() {
    const told = await server.get(`/api/runs/${run().id}`);
    dispatch("filled", { settings: told.settings });
    words.retype(wordsOf(told));
    note("Words and settings are those of this picture.");
  }

  async function erase() {
    const doomed = run();
    const points = doomed.nodes.length === 1 ? "1 point" : `${doomed.nodes.length} points`;
    const what = `“${brief(wordsOf(doomed), 100)}” (${doomed.status}, ${points} of history)`;
    if (!confirm(`Delete ${what} for good?`)) return;
    await server.remove(`/api/runs/${doomed.id}`);
    dispatch("removed", { run: doomed.id });
    note(`Deleted: ${what}`);
    await sync.refresh();
  }

  const choose = doing((id, chosen = null) => {
    const one = store.state.runs.get(id);
    if (!one) return;
    const name = brief(one.prompt, 30);
    const { comparing } = store.state;
    if (comparing && chosen !== null) {
      dispatch("versus", { second: { url: nodeUrl(id, chosen), name: `${name} (${chosen})` } });
    } else if (comparing && one.picture) {
      dispatch("versus", { second: { url: `/api/runs/${id}/picture.png`, name } });
    } else if (chosen !== null) {
      dispatch("chosen", { run: id, node: chosen });
    } else dispatch("followed", { run: one });
  });

  function compare() {
    const first = { url: easel.view.toDataURL(), name: brief(run().prompt, 30) };
    dispatch("comparing", { first: store.state.comparing ? null : first });
  }

  const cancel = doing(async (id) => {
    await server.post(`/api/runs/${id}/cancel`);
    await sync.refresh();
  });

  return {
    choose,
    cancel,
    /** By the id of their button. */
    buttons: {
      reuse: acting("reuse", reuse),
      delete: acting("delete", erase),
      compare,
    },
  };
}
