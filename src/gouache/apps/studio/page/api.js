// What the page asks of the server. Every mistake becomes an Error with the server's one line.

const AGAIN = 2000; // milliseconds until a stream that was refused is asked for again
const SILENT = "The studio does not answer; is it still running? What you made here is kept.";

/** The pixels of a picture from the server, to be closed by who has drawn them: the browser keeps no copy. */
export async function loadPixels(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error("The picture cannot be shown.");
  return createImageBitmap(await answer.blob());
}

/** The pixels that an address `data:` holds, to be closed likewise: of an image the browser keeps what it decoded until
 * it tidies up. */
export function heldPixels(url) {
  const [head, text] = url.split(",");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: head.slice("data:".length).split(";")[0] }));
}

/** The server. `reached(true)` is called whenever it answered, `reached(false)` when it did not. */
export function connect(reached) {
  async function call(method, path, body, type = "application/json", as = "json") {
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
      throw new Error(SILENT);
    }
    reached(true);
    if (answer.ok && as === "blob") return answer.blob();
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const error = new Error(told.error || `The studio answered ${answer.status}.`);
      throw Object.assign(error, { position: told.position, status: answer.status });
    }
    return told;
  }

  /** Calls `news` with each state of some runs, `frame` with each {run, step, image} of them, and `lost` when the
   * stream breaks; returns what ends it. One stream for all: a browser has few connections for all its tabs.
   * A stream that breaks is opened again: by the browser, or from here where the browser gives up. */
  function watch(runs, { news, frame, lost }) {
    let source;
    let timer;
    const open = () => {
      source = new EventSource(`/api/events?runs=${runs.join(",")}`);
      source.onopen = () => reached(true);
      source.onmessage = (event) => news(JSON.parse(event.data));
      source.addEventListener("frame", (event) => frame(JSON.parse(event.data)));
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

  const send = (path, blob) =>
    call("POST", path, blob, blob.type.startsWith("image/") ? blob.type : "application/octet-stream");

  return {
    get: (path) => call("GET", path),
    blob: (path) => call("GET", path, undefined, undefined, "blob"),
    post: (path, body) => call("POST", path, body),
    patch: (path, body) => call("PATCH", path, body),
    remove: (path) => call("DELETE", path),
    send,
    /** Lays strokes over a run; `near` is how near to them their colours stay, 0 to 1. */
    lay: (run, blob, near) => send(`/api/runs/${run}/draw?near=${near}`, blob),
    watch,
  };
}
