"""Connections that are slow, silent or too many, and those that are open when the server ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import FrameType
from typing import Any, ClassVar

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gouache.apps.studio.guard import host_name, is_local

_NUMBERS = count()


@dataclass(frozen=True)
class Patience:
    """How long, in seconds, and with how many connections the server is patient."""

    head: float = 20.0  # for a whole head of a request, from the first byte or the connection
    body: float = 20.0  # for `body_bytes` more of a body
    body_bytes: int = 64 * 1024
    write: float = 60.0  # for a reader that takes nothing
    connections: int = 512
    of_one_address: int = 128  # from elsewhere: a proxy on this machine brings everybody's


class PatientProtocol(H11Protocol):
    """HTTP with an end to each wait: uvicorn has one for idle connections only."""

    patience: ClassVar[Patience] = Patience()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._waits_for = ""  # head, body or nothing
        self._received = 0
        self._number = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for("head")
        self._number = next(_NUMBERS)
        others = [
            one
            for one in self.connections
            if isinstance(one, PatientProtocol) and not one.transport.is_closing()
        ]
        if len(others) > self.patience.connections:
            self._make_room(others)
        same = [one for one in others if one._address == self._address]
        if len(same) > self.patience.of_one_address and not _is_loopback(self._address):
            self._make_room(same)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for("")
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        self._received += len(data)
        super().data_received(data)
        self._look(before)

    def _look(self, before: object) -> None:
        """Begins to wait for what comes next, unless it waits for that already."""
        if self.cycle is not None and not self.cycle.response_complete:
            waits_for = "body" if self.cycle.more_body else ""
        else:
            waits_for = "head"
        if waits_for != self._waits_for or self.cycle is not before:
            self._wait_for(waits_for)

    def on_response_complete(self) -> None:
        self._wait_for("")  # uvicorn's own limit for idle connections begins
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:  # the next request had come already, or a part of it
            self._look(before)
        self._close_surely()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._close_surely()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.patience.write, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _make_room(self, others: list[PatientProtocol]) -> None:
        """Ends the oldest that says nothing, or else this one."""
        silent = [one for one in others if one._idle and one is not self]
        min(silent, key=lambda one: one._number, default=self).transport.abort()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_surely(self) -> None:
        """What is closed still waits for a reader to take the last bytes."""
        if self.transport.is_closing():
            self.loop.call_later(self.patience.write, self.transport.abort)

    def _wait_for(self, what: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waits_for, self._received = what, 0
        if what:
            seconds = self.patience.head if what == "head" else self.patience.body
            self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._waits_for == "body" and self._received >= self.patience.body_bytes:
            self._wait_for("body")
        else:
            self.transport.abort()


class Closing:
    """Whether the server ends; like `asyncio.Event`, but not bound to the first loop that waits."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: set[asyncio.Future[None]] = set()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """To be called in the loop of those that wait."""
        self._set = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Returns when it ends."""
        if self._set:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


class Ending:
    """Ends streams when the server does; without it an open page would hold it up.

    The outermost layer; `closing` is set when no more requests are taken.
    """

    def __init__(self, app: ASGIApp, closing: Closing) -> None:
        self._app = app
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = streaming = complete = False

        async def noticing_send(message: Message) -> None:
            nonlocal started, streaming, complete
            if message["type"] == "http.response.start":
                started = True
                headers = dict(message.get("headers", []))
                streaming = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        async def ending_receive() -> Message:
            # Whichever comes first: the visitor says something or leaves, or the server ends.
            # Whether the answer is a stream may turn out while this waits.
            if streaming and self._closing.is_set():
                return {"type": "http.disconnect"}
            news = asyncio.ensure_future(receive())
            ends = asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait((news, ends), return_when=asyncio.FIRST_COMPLETED)
                if not news.done() and streaming:
                    return {"type": "http.disconnect"}
                return await news
            finally:
                news.cancel()
                ends.cancel()

        try:
            await self._app(scope, ending_receive, noticing_send)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                raise
        if self._closing.is_set() and not complete:
            if started:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                answer = JSONResponse({"error": "the studio was ended; start it again"}, 503)
                await answer(scope, receive, send)


class StudioServer(uvicorn.Server):
    """uvicorn's server that tells `closing` when it begins to end. SIGTERM, once, calls `drain`
    first, while requests are answered still."""

    def __init__(
        self, config: uvicorn.Config, closing: Closing, drain: Callable[[], object] | None = None
    ) -> None:
        super().__init__(config)
        self._closing = closing
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        drain, self._drain = self._drain, None
        if sig != signal.SIGTERM or drain is None:
            super().handle_exit(sig, frame)
            return

        def drained() -> None:
            try:
                drain()
            finally:
                super(StudioServer, self).handle_exit(sig, None)

        threading.Thread(target=drained, name="drain", daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)


def make_listener(host: str, port: int) -> socket.socket:
    """A socket that listens, on which each connection sends at once (TCP_NODELAY); `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY where the socket says that it is TCP. Without it each answer on a
    # kept connection waits for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # notices who vanished
        if hasattr(socket, "SO_REUSEADDR") and hasattr(socket, "SO_REUSEPORT"):  # not Windows
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)  # now, so that whoever reads the address can connect
    except BaseException:
        listener.close()
        raise
    return listener


def make_server(
    app: Any,
    closing: Closing,
    protocol: type[H11Protocol] = PatientProtocol,
    drain: Callable[[], object] | None = None,
) -> StudioServer:
    """The server of an application that is not yet running; `drain` as for `StudioServer`."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_level="error",  # what strangers send is no news
        access_log=False,
        proxy_headers=False,  # anybody could name an address and guess on
        server_header=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    return StudioServer(config, closing, drain)


def _is_loopback(address: str) -> bool:
    try:
        return is_local(host_name(address))
    except ValueError:
        return False


__all__ = ["Closing", "Ending", "Patience", "PatientProtocol", "make_listener", "make_server"]
