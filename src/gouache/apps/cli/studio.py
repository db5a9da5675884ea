"""`gouache studio`: the page in the browser."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from gouache.errors import ConfigError

_LOCAL = ("127.0.0.1", "localhost", "::1")


def studio(
    port: Annotated[int, typer.Option("--port", help="Of the page.", min=0, max=65535)] = 7860,
    host: Annotated[
        str, typer.Option("--host", help="Who can reach it: 127.0.0.1 only this machine.")
    ] = "127.0.0.1",
    runs: Annotated[
        Path, typer.Option("--runs", help="The folder of all pictures and their history.")
    ] = Path("gouache-studio"),
    auth: Annotated[
        str | None, typer.Option("--auth", help="USER:PASSWORD that visitors must know.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest picture.", min=1024)
    ] = 1024 * 1024,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Most steps a run.", min=1)] = 2000,
    max_queue: Annotated[int, typer.Option("--max-queue", help="Most that wait.", min=1)] = 20,
) -> int:
    """Paint together with it in the browser: pause, paint on the picture, let it go on."""
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"the studio needs {package}; run: pip install 'gouache[studio]'")
    if auth is not None and not all(auth.partition(":")):
        raise ConfigError("auth must be USER:PASSWORD, both with at least one character")
    from gouache.apps.studio.server import serve
    from gouache.interrupts import raise_interrupts

    raise_interrupts()  # the server closes everything, then passes the signal on

    local = host in _LOCAL
    from gouache.apps.studio.orders import Limits

    limits = Limits(pixels=max_pixels, steps=max_steps, queue=max_queue)
    return serve(host, port, runs, limits, auth=auth, local=local, browser=browser)


__all__ = ["studio"]
