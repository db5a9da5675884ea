"""`gouache studio`: the page in the browser."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from gouache.apps.cli.secret_files import first_line
from gouache.errors import ConfigError
from gouache.prompts import one_line

ENVIRONMENT = "GOUACHE_STUDIO_AUTH"


def studio(
    port: Annotated[int, typer.Option("--port", help="Of the page.", min=0, max=65535)] = 7860,
    host: Annotated[
        str, typer.Option("--host", help="Who can reach it: 127.0.0.1 only this machine.")
    ] = "127.0.0.1",
    runs: Annotated[
        Path, typer.Option("--runs", help="The folder of all pictures and their history.")
    ] = Path("gouache-studio"),
    auth: Annotated[
        str | None,
        typer.Option("--auth", help="USER:PASSWORD that visitors must know; others see it in ps."),
    ] = None,
    auth_file: Annotated[
        Path | None,
        typer.Option(
            "--auth-file", help=f"A file with USER:PASSWORD; or set {ENVIRONMENT} instead."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Another name that leads here, of a proxy for example."),
    ] = None,
    user_header: Annotated[
        str,
        typer.Option(
            "--user-header",
            help="Visitors are whom a proxy on this machine names in this header: X-Remote-User.",
        ),
    ] = "",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest picture.", min=1024)
    ] = 1024 * 1024,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Most steps a run.", min=1)] = 2000,
    max_queue: Annotated[int, typer.Option("--max-queue", help="Most that wait.", min=1)] = 20,
    quota_minutes: Annotated[
        float | None,
        typer.Option("--quota-minutes", help="Painting time of one visitor a day."),
    ] = None,
    quota_gb: Annotated[
        float | None,
        typer.Option("--quota-gb", help="Room on the disk for what one visitor has."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Paint so many pictures at once, each in a process of its own.",
            min=1,
            max=1024,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            help="Of the processor, for each worker. [default: its share]",
            min=1,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", help="Paint on this Ray cluster: its address, or auto (gouache[cluster])."
        ),
    ] = None,
) -> int:
    """Paint together with it in the browser: pause, paint on the picture, let it go on."""
    for package in ("starlette", "uvicorn", "prometheus_client"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"the studio needs {package}; run: pip install 'gouache[studio]'")
    secret = _secret(auth, auth_file)
    header = _header(user_header)
    seconds = _quota(quota_minutes, "--quota-minutes", 60)
    room = _quota(quota_gb, "--quota-gb", 10**9)
    names = [_host(name) for name in allow_host or ()]
    if cluster is not None and not cluster.strip():
        raise ConfigError("--cluster is empty; give the address of a Ray cluster, or auto")
    from gouache.apps.studio.crew import Crew
    from gouache.apps.studio.orders import Limits
    from gouache.apps.studio.server import Serving, serve
    from gouache.interrupts import raise_interrupts

    crew = (
        Crew(workers or 0, cluster or "", threads or 0) if workers or cluster or threads else None
    )
    if crew is not None:
        crew.check()
    raise_interrupts()  # the server closes everything, then passes the signal on

    limits = Limits(
        pixels=max_pixels,
        steps=max_steps,
        queue=max_queue,
        seconds_each=seconds,
        bytes_each=None if room is None else int(room),
    )
    how = Serving(host, port, secret, names, header, browser, crew)
    return serve(runs, limits, how)


def _header(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ConfigError(
            f"--user-header is {name!r:.60}; expected the name of a header: X-Remote-User"
        )
    return name


def _quota(value: float | None, option: str, unit: float) -> float | None:
    """In seconds or bytes."""
    if value is not None and not 0 < value < math.inf:
        raise ConfigError(f"{option} is {value:g}; expected a number above 0")
    return None if value is None else value * unit


def _secret(auth: str | None, file: Path | None) -> str | None:
    """USER:PASSWORD from the one place that gives it; no message shows any of it."""
    if auth is not None and file is not None:
        raise ConfigError("--auth and --auth-file are both given; give one")
    if file is not None:
        return _checked(first_line(file, "USER:PASSWORD"), f"the first line of {one_line(file)}")
    if auth is not None:
        checked = _checked(auth, "auth")
        print(
            "gouache: warning: others on this machine can read --auth in the list of processes; "
            f"use --auth-file or {ENVIRONMENT}",
            file=sys.stderr,
        )
        return checked
    given = os.environ.get(ENVIRONMENT)
    return None if given is None else _checked(given, ENVIRONMENT)


def _checked(auth: str, where: str) -> str:
    if not all(auth.partition(":")):
        raise ConfigError(f"{where} must be USER:PASSWORD, both with at least one character")
    return auth


def _host(name: str) -> str:
    if not re.fullmatch(r"[\w.:\[\]-]+", name):
        raise ConfigError(
            f"--allow-host is {name!r:.60}; expected a host name such as studio.example"
        )
    return name


__all__ = ["studio"]
