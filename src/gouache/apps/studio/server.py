"""Runs the studio's server until it is interrupted."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from gouache.apps.studio.connections import make_listener, make_server
from gouache.apps.studio.guard import is_local, own_names
from gouache.apps.studio.http import make_app
from gouache.apps.studio.locking import locked
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.warming import warm
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError
from gouache.prompts import one_line


def serve(
    host: str,
    port: int,
    root: Path,
    limits: Limits,
    *,
    auth: str | None,
    allowed_hosts: Collection[str],
    browser: bool,
) -> int:
    """Serves the page; the exit code. `ConfigError` for a taken port, `OutputError` for `root`.

    `allowed_hosts`: names by which it is reached besides its own. Files are private to whoever
    starts it.
    """
    with locked(root):
        return _serve(host, port, root, limits, auth, allowed_hosts, browser)


def _serve(
    host: str,
    port: int,
    root: Path,
    limits: Limits,
    auth: str | None,
    allowed_hosts: Collection[str],
    browser: bool,
) -> int:
    try:
        listener = make_listener(host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {one_line(host, 80)}:{port} ({one_line(error, 60)}); "
            "give another --port"
        ) from None
    with listener:
        bound, at = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{at}"
        local = is_local(bound)
        if not local:
            safety = "without a password (see --auth-file)" if auth is None else "unencrypted"
            print(
                f"gouache: warning: bound to {host}: others on the network can reach this studio, "
                f"{safety}",
                file=sys.stderr,
            )
        names, any_address = own_names(host, bound, allowed_hosts)
        # A password or another name say that others come through something on this machine.
        one_owner = local and auth is None and not allowed_hosts
        app = make_app(Studio(root, limits), names, auth, any_address=any_address, local=one_owner)
        print(f"gouache studio: {address}  (pictures in {root}; Ctrl-C ends it)", file=sys.stderr)
        threading.Thread(target=warm, name="warming", daemon=True).start()
        if browser and local:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # raised again after everything is closed
            make_server(app, app.state.closing).run(sockets=[listener])
        return 0


__all__ = ["serve"]
