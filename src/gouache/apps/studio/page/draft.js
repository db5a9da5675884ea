// What was written and drawn but not sent yet: it outlives a reload of the page, in this tab only.

const NAME = "gouache-draft";

export function load() {
  try {
    return JSON.parse(sessionStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // no storage in this browser, or nothing that can be read
  }
}

/** `draft` as JSON; without its drawings where they are too large for the browser. */
export function save(draft) {
  try {
    sessionStorage.setItem(NAME, JSON.stringify(draft));
  } catch {
    try {
      sessionStorage.setItem(NAME, JSON.stringify({ ...draft, strokes: null, mask: null }));
    } catch {
      // no storage: the question before the page is left remains
    }
  }
}
