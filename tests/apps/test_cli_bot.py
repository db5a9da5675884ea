"""`gouache bot` on the command line: what it refuses, and where its token goes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gouache.apps.cli import bot

TOKEN = "a-token.of-a.bot"


def refused(gouache: Any, *options: str) -> str:
    outcome = gouache("bot", *options)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert TOKEN not in outcome.err
    return str(outcome.err)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if discord.py were there."""
    spec = importlib.util.find_spec
    there = lambda name, *more: name == "discord" or spec(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", there)
    monkeypatch.delenv(bot.ENVIRONMENT, raising=False)


def test_without_discord_one_line_says_what_to_install(
    gouache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "the bot needs discord.py; run: pip install 'gouache[bot]'" in refused(gouache)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("held", ["", " \n", "two words", "f\u00fcnf", "a\tb"])
def test_what_is_no_token(gouache: Any, held: str) -> None:
    Path("token").write_text(held, encoding="utf-8")
    Path("token").chmod(0o600)
    assert "token" in refused(gouache, "--token-file", "token")


@pytest.mark.usefixtures("installed")
def test_no_token_at_all_and_no_file(gouache: Any) -> None:
    assert f"put the bot's token into {bot.ENVIRONMENT}" in refused(gouache)
    assert "cannot read missing" in refused(gouache, "--token-file", "missing")
    assert "--token" in refused(gouache, "--token", TOKEN)  # others would see it
    assert "--max-waiting" in refused(gouache, "--max-waiting", "0")


@pytest.mark.usefixtures("installed")
def test_the_token_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bot.ENVIRONMENT, f"{TOKEN}\n")
    assert bot._token(None) == TOKEN
    assert bot.ENVIRONMENT not in os.environ


@pytest.mark.usefixtures("installed")
def test_a_file_that_others_can_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bot.ENVIRONMENT, "another")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o644)
    assert bot._token(file) == TOKEN
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "chmod 600" in told
    assert TOKEN not in told


def test_the_bot_needs_no_package_but_its_service() -> None:
    """Neither those of the page nor those of films."""
    program = (
        "import sys\n"
        "for name in ('starlette', 'uvicorn', 'av', 'discord'): sys.modules[name] = None\n"
        "import gouache.apps.bot.serving, gouache.apps.cli.bot\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
