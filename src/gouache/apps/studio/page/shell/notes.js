// What is said beside the picture, and in whose words: problems, notes of the page, and warnings of a run.

import { runOf } from "../selectors.js";

const MOST = 50; // warnings that are known to be read

const quoted = (texts) => texts.map((text) => `“${text}”`).join(", ");

/** Notes of a run by their kind, for who knows the page and not the settings; "" where one tells too little. */
const WORDED = {
  "laid-out": ({ things = [] }) =>
    things.length && `Each thing has its half of the picture: ${things.join(", ")} (as one thing: Fine tuning, layout off)`,
  "unknown-prompt": ({ roughly = [], unguided = [] }) => [
    roughly.length && `Known only roughly: ${quoted(roughly)}`,
    unguided.length && `Not known, so nothing leads there: ${quoted(unguided)}`,
  ].filter(Boolean).join(" · "),
  "unknown-words": ({ words = [] }) => words.length && `Not understood: ${quoted(words)}. Write it in English`,
  "unknown-place": ({ places = {} }) => Object.entries(places)
    .map(([written, meant]) => `${written} is no place and is painted as words. Is it ${meant}?`).join(" · "),
  truncation: ({ cut = "" }) => cut && `Too long to be read to the end. Left out: “${cut}”`,
  style: ({ drawn = {} }) => Object.entries(drawn)
    .map(([words, styles]) => `First “${words}”, then drawn: ${styles.join(", ")} (not so: Fine tuning, Style 0)`).join(" · "),
  "late-choice": () => "Your choice came too late: another beginning is painted",
};

/** A note {kind, text, …} in a line; of a kind that is not plain here as the server has it. */
export const worded = (note) => WORDED[note.kind]?.(note) || note.text;

/** The warnings of the run that is shown: {text, key}, null without. Those that are painted together have one key. */
function warningOf(state) {
  const run = runOf(state);
  if (!run?.notes?.length) return null;
  const text = run.notes.map(worded).join(" · ");
  return { text, key: `${run.group || run.id} ${text}` };
}

/** What is said and was not read yet: {problem, note, warnings}, each "" for nothing. */
export function saidOf(state) {
  const { problem, note, read } = state.notices;
  const warning = warningOf(state);
  return { problem, note, warnings: warning && !read.includes(warning.key) ? warning.text : "" };
}

/** What is noticed when one of them is read. */
export const readingOf = (state, name) =>
  (name === "warnings" ? { read: [...state.notices.read, warningOf(state).key].slice(-MOST) } : { [name]: "" });
