// What is done with films: asked for, gone on with.

import { changed, sheetSize } from "../values.js";
import { runOf } from "../selectors.js";
import { isMorph, pointShown, settingsOf } from "./selectors.js";

const FIRST = 20; // steps of the first frame of what is moved: it is a picture already

export function makeActions({ store, server, work }) {
  const { acting, dispatch, order, run } = work;

  async function film() {
    const { state } = store;
    const { ends, from } = state.film;
    const settings = changed(state);
    const asks = { settings };
    let size = sheetSize(state.form);
    const shapedLike = (one) => {
      size = one.size;
      Object.assign(settings, { size: size.join("x"), steps: settings.steps ?? FIRST });
    };
    if (isMorph(state)) {
      asks.morph = ends;
      const first = state.runs.get(ends[0]?.split("/")[0]);
      if (!first) throw new Error("Choose two pictures to go between.");
      shapedLike(first);
    } else if (from === "picture") {
      asks.image = pointShown(state);
      if (!asks.image) throw new Error("This one is still being painted: stop it, or choose a point of its history.");
      shapedLike(runOf(state));
    }
    await order({ ...asks, film: settingsOf(state, size) }, false);
  }

  /** Offers to move the picture that is shown. */
  function offer() {
    dispatch("directed", { from: "picture", ...(isMorph(store.state) ? { motion: "in" } : {}) });
    dispatch("unfolded", { panel: "film" });
  }

  async function goOn() {
    const next = await server.post(`/api/runs/${run().id}/continue`, {});
    dispatch("followed", { run: next, here: true });
  }

  return {
    /** By the id of their button. */
    buttons: { "film-order": acting("order", film), "film-this": offer, "film-on": acting("run", goOn) },
  };
}
