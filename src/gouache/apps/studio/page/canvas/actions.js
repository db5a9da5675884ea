// What is done with the hand: undo, masks by words, painting a part anew, and growing the picture.

import { changed } from "../values.js";
import { loadImage } from "../nodes.js";
import { BUSY, keptFrom, partOf, subjectOf, tryOf, wordings, wordsOf } from "../selectors.js";

const APART = 0.8; // how much of a marked part tries after the first begin disturbed: so that they differ

// What the server says of words that mark nothing, and what can be done then.
const UNFOUND = [
  [/is not seen anywhere|^the mask of .* is empty/, (phrase) =>
    `“${phrase}” is not to be seen in this picture. Name one thing in it in plain words, such as “apple” or “sky”, or draw over it yourself.`],
  [/^the mask of .* covers the whole picture/, (phrase) =>
    `“${phrase}” seems to be everywhere. Name a single thing, or draw over the part yourself.`],
];

export function makeActions({ store, server, easel, doing, work }) {
  const { acting, dispatch, draft, drawn, node, note, order, place, run, seen, upload } = work;
  const { mask, strokes } = easel;

  /** What the next try is made on, as `tried` has it: the picture before the tries, or the one that is shown. */
  async function partToTry() {
    const before = partOf(store.state);
    const tried = tryOf(store.state);
    const { version } = mask;
    const known = before?.mask?.version === version ? before.mask : null;
    const masked = mask.empty ? null : (known ?? { id: await upload(easel.maskBlob()), version });
    if (tried && strokes.empty) return { ...before, mask: masked };
    const subject = tried ? run().id : subjectOf(store.state); // a try that was drawn on goes on by itself
    return { subject, base: { place: place(), run: run()?.id ?? "", node: node(), image: await seen() }, mask: masked };
  }

  /** Shows again what tries start from. */
  async function showBase({ run: id, node: point }) {
    if (!store.state.runs.has(id)) return;
    dispatch(point === null ? "followed" : "chosen", { run: point === null ? store.state.runs.get(id) : id, node: point });
    await easel.look();
  }

  async function repaint() {
    const prompts = wordings(draft().replace);
    if (!prompts.length) throw new Error("Say what it becomes.");
    const uses = drawn();
    const part = await partToTry();
    const { base, mask: masked } = part;
    if (base.place !== place()) await showBase(base);
    const { size, ...settings } = changed(store.state, false, false);
    const { tries: count } = store.state;
    const more = count > 1 ? { count } : {};
    // The first try on a mark is as near to what was there as it can be; those that are ordered together differ.
    const before = partOf(store.state)?.tries.some(({ version }) => version === masked?.version) || count > 1;
    const edit = (later) => ({
      settings: changed(store.state, true),
      ...(masked && { mask: masked.id }),
      ...(masked && later && { disturb: APART }),
    });
    const asks = prompts.map((prompt, at) =>
      ({ prompt, image: base.image, edit: edit(before || at > 0), parent: base.place, settings, ...more }));
    await order(asks, true, uses, part);
  }

  async function find() {
    const { phrase } = draft();
    if (!phrase.trim()) throw new Error("Say what to look for.");
    dispatch("noticed", { mask: `Looks for “${phrase.trim()}”…` });
    try {
      const here = place();
      const found = await server.post("/api/masks", { image: await seen(), phrase });
      const image = await loadImage(`/api/images/${found.id}`);
      if (here !== place()) throw new Error("That was found in another picture; find it again.");
      easel.setMask(image);
      const share = `Marked: ${Math.max(1, Math.round(100 * found.share))} % of the picture.`;
      dispatch("noticed", { mask: `${share} Mend it with Mark and Unmark, then say what it becomes.` });
    } catch (error) {
      const plain = UNFOUND.find(([told]) => told.test(error.message))?.[1];
      dispatch("noticed", { mask: plain ? plain(phrase.trim()) : error.message });
    }
  }

  /** The try that is shown is kept: a favourite, alone on the easel. */
  async function keepTry() {
    const { id, group } = run();
    dispatch("settledOn", { run: id });
    if (group) dispatch("gridded", { group, open: false });
    note(`Chosen, with a star.${BUSY.includes(run().status) ? "" : " Go on paints it further."} “Back to the tries” brings its mark back.`);
    dispatch("edited", { run: id, values: { favourite: true } });
    await server.patch(`/api/runs/${id}`, { favourite: true });
  }

  /** From a try that was kept: the picture before it, with its mask and all its tries. */
  async function backToTries() {
    await showBase(keptFrom(store.state).base);
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
      "tries-back": doing(backToTries),
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
