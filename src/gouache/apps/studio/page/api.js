// What the page asks of the server. Every mistake becomes an Error with the server's one line.

const AGAIN = 2000; // milliseconds until a stream that was refused is asked for again
let reached = () => {};

/** `told(true)` whenever the server answered, `told(false)` when it did not. */
export function whenReached(told) {
  reached = told;
}

async function call(method, path, body, type = "application/json") {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = type;
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    reached(false);
    throw new Error("The studio does not answer; is it still running? What you made here is kept.");
  }
  reached(true);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error(told.error || `The studio answered ${answer.status}.`);
    error.position = told.position;
    error.status = answer.status;
    throw error;
  }
  return told;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
export const send = (path, blob) => call("POST", path, blob, blob.type || "application/octet-stream");

/** Calls `news` with each state of a run, and `lost` when the stream breaks; returns what ends it.
 * A stream that breaks is opened again: by the browser, or from here where the browser gives up. */
export function watch(run, news, lost) {
  let source;
  let timer;
  const open = () => {
    source = new EventSource(`/api/runs/${run}/events`);
    source.onopen = () => reached(true);
    source.onmessage = (event) => news(JSON.parse(event.data));
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN);
      lost();
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
