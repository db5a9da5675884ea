// What is done with the hand: undo, masks by words, painting a part anew, and growing the picture.

import { changed } from "../form.js";
import { loadImage } from "../nodes.js";
import { wordsOf } from "../selectors.js";
import { tryOf } from "./buttons.js";

export function makeActions({ store, server, easel, doing, work }) {
  const { acting, dispatch, draft, drawn, node, note, order, place, run, seen, upload } = work;
  const { mask, strokes } = easel;

  /** What the next try on a part starts from: the picture that is shown, or that of the tries before. */
  async function baseOfTry() {
    const { base } = store.state.part;
    if (base && base.version === mask.version && strokes.empty && tryOf(store.state)) return base;
    return {
      place: place(), run: run()?.id ?? "", node: node(), image: await seen(),
      mask: mask.empty ? null : await upload(easel.maskBlob()), version: mask.version,
    };
  }

  /** Shows again what tries start from. */
  async function showBase({ run: id, node: point }) {
    if (!store.state.runs.has(id)) return;
    dispatch(point === null ? "followed" : "chosen", { run: point === null ? store.state.runs.get(id) : id, node: point });
    await easel.look();
  }

  async function repaint() {
    const prompt = draft().replace;
    if (!prompt.trim()) throw new Error("Say what it becomes.");
    const uses = drawn();
    const base = await baseOfTry();
    if (base.place !== place()) await showBase(base);
    const edit = { settings: changed(store.state, true) };
    if (base.mask) edit.mask = base.mask;
    const { size, ...settings } = changed(store.state, false, false);
    const { count } = store.state.part;
    const more = count > 1 ? { count } : {};
    const made = await order({ prompt, image: base.image, edit, parent: base.place, settings, ...more }, true, uses, true);
    const tries = (made.runs ?? [made]).map(({ id }) => ({ id, words: prompt }));
    dispatch("tried", { base, tries });
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

  /** The try that is shown is kept: a favourite, alone on the easel. */
  async function keepTry() {
    const { id, group } = run();
    dispatch("settledOn");
    easel.clear(mask);
    if (group) dispatch("gridded", { group, open: false });
    note("This one is kept, with a star. The mask is off; Undo brings it back. The other tries are in the history.");
    dispatch("edited", { run: id, values: { favourite: true } });
    await server.patch(`/api/runs/${id}`, { favourite: true });
  }

  /** The canvas grows, and what is new is painted. */
  async function grow() {
    const { grow: by } = store.state;
    if (!Object.values(by).some(Boolean)) throw new Error("Drag an edge of the picture first, or write by how much it grows.");
    const prompt = draft().words.trim() || (run() ? wordsOf(run()) : "");
    const [parent, uses] = [place(), drawn()];
    const of = await seen();
    const { size, ...settings } = changed(store.state, false, false);
    await order({ prompt, extend: { of, ...by }, parent, settings }, false, uses);
    dispatch("grown", { left: 0, right: 0, top: 0, bottom: 0 });
    dispatch("held", { tool: "hand" });
  }

  return {
    /** By the id of their button. */
    buttons: {
      repaint: acting("order", repaint),
      grow: acting("order", grow),
      find: acting("find", find),
      "keep-try": doing(keepTry),
      "mask-brush": doing(() => dispatch("held", { tool: "mask" })),
      "mask-none": doing(() => easel.clear(mask)),
      "mask-clear": doing(() => easel.clear(mask)),
      "mask-invert": doing(() => easel.invertMask()),
      "new-sheet": doing(() => dispatch("newSheet")),
      undo: doing(() => easel.undo()),
      redo: doing(() => easel.redo()),
      clear: doing(() => easel.clear(easel.layer, mask)),
    },
  };
}
