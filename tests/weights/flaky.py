"""A web server that misbehaves on purpose."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Flaky:
    """`routes[path]` are the answers to successive requests; the last one is given forever."""

    url: str
    routes: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def of(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.partition("?")[0] == path]


def serve(
    data: bytes,
    *,
    etag: str | None = '"v1"',
    ranges: bool = True,
    stop_after: int | None = None,
    length: int | None = None,
    first: int | None = None,
    pause: float = 0.0,
    **headers: str,
) -> Answer:
    """Sends `data`, or the part asked for.

    `stop_after` bytes the connection is cut; `length` is the Content-Length that is claimed;
    `first` is the offset from which the rest is sent, whatever was asked for; `etag` None sends
    none; `pause` is in seconds, between pieces.
    """

    def answer(handler: BaseHTTPRequestHandler) -> None:
        start = 0
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if asked and ranges and condition in (None, etag):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start and start >= len(data):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(data)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = first if start and first is not None else start
        body = data[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        if etag is not None:
            handler.send_header("ETag", etag)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        part = body if stop_after is None else body[:stop_after]
        for at in range(0, len(part), 1 << 16):
            piece = part[at : at + (1 << 16)]
            handler.wfile.write(piece)
            handler.server.flaky.sent[handler.path] += len(piece)  # type: ignore[attr-defined]
            time.sleep(pause)
        if len(part) < len(body) or length not in (None, len(body)):
            handler.close_connection = True

    return answer


def status(code: int, **headers: str) -> Answer:
    """An answer without a file."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def without_length(data: bytes) -> Answer:
    """The body ends where the connection does."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all."""
    handler.close_connection = True
    handler.connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        flaky: Flaky = self.server.flaky  # type: ignore[attr-defined]
        flaky.requests.append(Request(self.command, self.path, dict(self.headers)))
        answers = flaky.routes.get(self.path.partition("?")[0], [status(404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            answer(self)
        except (OSError, ValueError):  # the client has left
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def flaky_server() -> Iterator[Flaky]:
    server = _Server(("127.0.0.1", 0), _Handler)
    flaky = Flaky(f"http://127.0.0.1:{server.server_port}")
    server.flaky = flaky  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield flaky
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
