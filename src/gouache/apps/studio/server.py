"""Runs the studio's server until it is interrupted."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gouache.apps.studio.connections import make_listener, make_server
from gouache.apps.studio.crew import Crew
from gouache.apps.studio.guard import is_local, own_names
from gouache.apps.studio.http import make_app
from gouache.apps.studio.locking import locked
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.warming import warm
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError
from gouache.prompts import one_line


@dataclass(frozen=True)
class Serving:
    """Who reaches a studio and who paints for it.

    Attributes:
        auth: "user:password".
        allowed_hosts: names by which it is reached besides its own.
        user_header: in which a proxy on this machine names the visitor; "" for cookies.
        browser: whether the page is opened.
        crew: its workers; without any it paints in this process.
    """

    host: str
    port: int
    auth: str | None = None
    allowed_hosts: Collection[str] = ()
    user_header: str = ""
    browser: bool = False
    crew: Crew | None = None


def serve(root: Path, limits: Limits, how: Serving) -> int:
    """Serves the page; the exit code. `ConfigError` for a taken port, `OutputError` for `root`,
    whose files are private to whoever starts it."""
    with locked(root):
        return _serve(root, limits, how)


def _serve(root: Path, limits: Limits, how: Serving) -> int:
    host, port, auth = how.host, how.port, how.auth
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
        if how.user_header and not local:
            raise ConfigError(
                "--user-header is for a proxy on this machine: whoever reaches the studio itself "
                "could take any name; leave --host out"
            )
        if not local:
            safety = "without a password (see --auth-file)" if auth is None else "unencrypted"
            print(
                f"gouache: warning: bound to {host}: others on the network can reach this studio, "
                f"{safety}",
                file=sys.stderr,
            )
        names, any_address = own_names(host, bound, how.allowed_hosts)
        # A password or another name say that others come through something on this machine.
        one_owner = local and auth is None and not (how.allowed_hosts or how.user_header)
        workers, threads = ((), 0) if how.crew is None else (how.crew.hire(), how.crew.threads)
        studio = Studio(root, limits, workers=workers, threads=threads)
        app = make_app(
            studio,
            names,
            auth,
            any_address=any_address,
            local=one_owner,
            user_header=how.user_header,
        )
        painted = f", painted by {len(workers)} workers" if workers else ""
        print(
            f"gouache studio: {address}  (pictures in {root}{painted}; Ctrl-C ends it)",
            file=sys.stderr,
        )
        if not workers:
            threading.Thread(target=warm, name="warming", daemon=True).start()
        if how.browser and local:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # raised again after everything is closed
            make_server(app, app.state.closing, drain=studio.drain).run(sockets=[listener])
        return 0


__all__ = ["Serving", "serve"]
