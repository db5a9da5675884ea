// What the page asks of the server. Every mistake becomes an Error with the server's one line.

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
    throw new Error("The studio does not answer; is it still running?");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error(told.error || `The studio answered ${answer.status}.`);
    error.position = told.position;
    throw error;
  }
  return told;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
export const send = (path, blob) => call("POST", path, blob, blob.type || "application/octet-stream");

/** Calls `news` with each state of a run; returns what ends the listening. */
export function watch(run, news) {
  const source = new EventSource(`/api/runs/${run}/events`);
  source.onmessage = (event) => news(JSON.parse(event.data));
  return () => source.close();
}
