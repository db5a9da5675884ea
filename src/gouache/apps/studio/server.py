"""Runs the studio's server until it is interrupted."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError, OutputError
from gouache.prompts import one_line


def serve(
    host: str,
    port: int,
    root: Path,
    limits: Limits,
    *,
    auth: str | None,
    local: bool,
    browser: bool,
) -> int:
    """Serves the page; the exit code. `ConfigError` for a taken port, `OutputError` for `root`."""
    import uvicorn

    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "studio.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"another studio uses {one_line(root)}; stop it, or give another folder with --runs"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write to {one_line(root)}: {error.strerror}") from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)  # now, so that whoever reads the address can connect
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} ({one_line(error, 60)}); give another --port"
            ) from None
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        if not local:
            safety = "without a password (see --auth)" if auth is None else "unencrypted"
            print(
                f"gouache: warning: bound to {host}: others on the network can reach this studio, "
                f"{safety}",
                file=sys.stderr,
            )
        hosts = ("127.0.0.1", "localhost", "[::1]") if local else None
        app = make_app(Studio(root, limits), hosts, auth)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
        )
        print(f"gouache studio: {address}  (pictures in {root}; Ctrl-C ends it)", file=sys.stderr)
        if browser and local:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # raised again after everything is closed
            uvicorn.Server(config).run(sockets=[listener])
        return 0
    finally:
        listener.close()
        lock.release()


__all__ = ["serve"]
