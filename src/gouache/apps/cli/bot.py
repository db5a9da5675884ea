"""`gouache bot`: pictures for people in a chat."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from gouache.apps.cli.secret_files import first_line
from gouache.errors import ConfigError
from gouache.prompts import one_line

ENVIRONMENT = "GOUACHE_BOT_TOKEN"


def bot(
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help=f"A file with the bot's token; or set {ENVIRONMENT} instead."
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", help="The folder of all pictures and orders.")
    ] = Path("gouache-bot"),
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest picture.", min=1024)
    ] = 512 * 512,
    max_waiting: Annotated[
        int, typer.Option("--max-waiting", help="Orders of one person that wait.", min=1)
    ] = 3,
    max_queue: Annotated[
        int, typer.Option("--max-queue", help="Orders of all that wait.", min=1)
    ] = 100,
    max_daily: Annotated[
        int, typer.Option("--max-daily", help="Pictures for one person in 24 hours.", min=1)
    ] = 100,
) -> int:
    """Paint for people in a Discord server: /imagine, and buttons to vary, cross and film."""
    if importlib.util.find_spec("discord") is None:
        raise ConfigError("the bot needs discord.py; run: pip install 'gouache[bot]'")
    token = _token(token_file)
    from gouache.apps.bot.discord_adapter import DiscordAdapter
    from gouache.apps.bot.orders import Limits
    from gouache.apps.bot.serving import serve
    from gouache.interrupts import raise_interrupts

    raise_interrupts()  # what is painted is saved first
    limits = Limits(waiting=max_waiting, queue=max_queue, daily=max_daily, pixels=max_pixels)
    return serve(DiscordAdapter(token), runs, limits)


def _token(file: Path | None) -> str:
    """From the file, else from the environment, which has it no longer; no message shows it."""
    given, where = os.environ.pop(ENVIRONMENT, ""), ENVIRONMENT
    if file is not None:
        given, where = first_line(file, "the bot's token"), f"the first line of {one_line(file)}"
    token = given.strip()
    if not token:
        raise ConfigError(
            f"{where} holds no token; put the bot's token into {ENVIRONMENT}, or into a file and "
            "give --token-file"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{where} is not a token; copy it from Discord's page for developers")
    return token


__all__ = ["bot"]
