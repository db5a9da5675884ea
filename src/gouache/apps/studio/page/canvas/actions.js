// What is done with the hand: undo, masks by words, and painting a part anew.

import { changed } from "../form.js";
import { loadImage } from "../nodes.js";

export function makeActions({ store, server, easel, doing, work }) {
  const { acting, dispatch, draft, drawn, order, place, seen, upload } = work;
  const { mask } = easel;

  async function repaint() {
    const prompt = draft().replace;
    if (!prompt.trim()) throw new Error("Say what it becomes.");
    const [parent, uses] = [place(), drawn()];
    const image = await seen();
    const edit = { settings: changed(store.state, true) };
    if (!mask.empty) edit.mask = await upload(easel.maskBlob());
    const { size, ...settings } = changed(store.state, false, false);
    await order({ prompt, image, edit, parent, settings }, true, uses);
  }

  async function find() {
    const { phrase } = draft();
    if (!phrase.trim()) throw new Error("Say what to look for.");
    dispatch("noticed", { mask: "Looks…" });
    try {
      const here = place();
      const found = await server.post("/api/masks", { image: await seen(), phrase });
      const image = await loadImage(`/api/images/${found.id}`);
      if (here !== place()) throw new Error("The mask was for another picture; find it again.");
      easel.setMask(image);
      const share = `Found: ${Math.round(100 * found.share)} % of the picture.`;
      dispatch("noticed", { mask: `${share} Mend it with Mask and Unmask.` });
    } catch (error) {
      dispatch("noticed", { mask: error.message });
    }
  }

  return {
    /** By the id of their button. */
    buttons: {
      repaint: acting("order", repaint),
      find: acting("find", find),
      "new-sheet": doing(() => dispatch("newSheet")),
      undo: doing(() => easel.undo()),
      redo: doing(() => easel.redo()),
      clear: doing(() => easel.clear()),
    },
  };
}
