"""Connections: answered at once, and ended when they are slow, silent or too many."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gouache.apps.studio.connections import Patience, PatientProtocol, make_listener, make_server
from gouache.apps.studio.http import make_app
from gouache.apps.studio.worker import Studio
from studio_client import tiny_build

SHORT = Patience(head=0.3, body=0.3, body_bytes=1000, write=0.3, connections=6, of_one_address=6)
HEAD = b"POST /api/images HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"


class Served:
    def __init__(self, server: Any, port: int) -> None:
        self.server, self.port = server, port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def serving(folder: Path, patience: Patience) -> Iterator[Served]:
    protocol = type("Short", (PatientProtocol,), {"patience": patience})
    app = make_app(Studio(folder, build=tiny_build))
    listener = make_listener("127.0.0.1", 0)
    server = make_server(app, app.state.closing, protocol)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield Served(server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def ended(connection: socket.socket) -> bool:
    """Waits for the end of it; a time-out raises."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def sent_until_dropped(served: Served, connection: socket.socket, data: bytes) -> bool:
    """Sends without reading until the server has had enough."""
    connection.settimeout(0.05)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection.sendall(data)
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        if not served.server.server_state.connections:
            return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host: str) -> None:
    try:
        listener = make_listener(host, 0)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # what asyncio looks at
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_accepted_connections_of_the_server_send_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, Patience()) as served, httpx.Client() as client:
        client.get(f"http://127.0.0.1:{served.port}/api/runs")
        (connection,) = served.server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        HEAD,
        HEAD + b"x" * 200,
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT",  # one whole request, then half of one
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + HEAD,
        b"GET /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nx",
    ],
)
def test_half_a_request_is_not_waited_for_for_ever(tmp_path: Path, sent: bytes) -> None:
    with serving(tmp_path, SHORT) as served, served.connect() as connection:
        connection.sendall(sent)
        assert ended(connection)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nhost: x\r\n", HEAD])
def test_a_byte_now_and_then_does_not_help(tmp_path: Path, first: bytes) -> None:
    with serving(tmp_path, SHORT) as served, served.connect() as connection:
        connection.sendall(first)
        connection.settimeout(0.05)
        for _ in range(600):  # 30 seconds, where nobody ends it
            try:
                connection.sendall(b"x: y\r\n")
                if connection.recv(65536) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
        raise AssertionError("the connection is still open")


def test_a_steady_sender_is_waited_for(tmp_path: Path) -> None:
    patience = replace(SHORT, body=0.5)
    with serving(tmp_path, patience) as served, served.connect() as connection:
        connection.sendall(HEAD.replace(b"100000", b"40000"))
        for _ in range(20):
            connection.sendall(b"x" * 2000)
            time.sleep(0.06)  # more than twice as long as without progress
        assert b" 400 " in connection.recv(65536).partition(b"\r\n")[0]


def test_a_reader_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    with serving(tmp_path, SHORT) as served:
        with served.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = b"GET /page/studio.js HTTP/1.1\r\nhost: x\r\n\r\n"
            while not served.server.server_state.connections:
                time.sleep(0.01)
            assert sent_until_dropped(served, connection, request)
        assert httpx.get(f"http://127.0.0.1:{served.port}/").status_code == 200


def test_many_silent_connections_make_room_for_one_that_speaks(tmp_path: Path) -> None:
    patience = replace(SHORT, head=60, body=60)
    with serving(tmp_path, patience) as served:
        silent = [served.connect() for _ in range(30)]
        with httpx.Client() as client:
            assert client.get(f"http://127.0.0.1:{served.port}/").status_code == 200
        assert len(served.server.server_state.connections) <= patience.connections + 1
        for connection in silent:
            connection.close()
