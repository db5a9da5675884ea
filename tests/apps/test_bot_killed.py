"""Orders of the bot survive its process: none is lost, replaced or answered twice."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bot_process
from bot_gateway import Gateway, is_final, serving, until
from bot_process import ORDERS
from gouache.apps.bot.book import Book
from gouache.apps.bot.bot import RESTARTS, Bot
from gouache.apps.bot.orders import Limits
from gouache.apps.studio.orders import Order
from gouache.apps.studio.runs import load_runs
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.halting import check
from gouache.ops.images import to_pil
from studio_client import tiny_build
from studio_tiny import Gate
from tiny import TinyGenerator, TinyPerceptor, tiny_config


def lines(log: Path) -> list[list[Any]]:
    """What the service was told; a line that was cut off by the kill is none."""
    told = log.read_text().split("\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in told]


def finals(log: Path) -> list[str]:
    return [id for call, id, _, actions, _ in lines(log) if is_final(call, actions)]


def start(root: Path, log: Path) -> subprocess.Popen[str]:
    program = [sys.executable, bot_process.__file__, str(root), str(log)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def test_twenty_orders_survive_kill_9_and_two_people_take_turns(tmp_path: Path) -> None:
    root, log = tmp_path / "bot", tmp_path / "log"
    process = start(root, log)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    while len(finals(log)) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = [run.picture_path for run in load_runs(root) if run.status == "done"]
    before = {path: path.read_bytes() for path in done}
    assert 3 <= len(before) < 20
    assert start(root, log).wait() == 0

    told = lines(log)
    assert Counter(id for call, id, *_ in told if call != "edit") == {
        f"m{id}": 1 for id, _, _ in ORDERS
    }
    assert set(finals(log)) == {f"m{id}" for id, _, _ in ORDERS}
    # To edit once more shows the same: the kill may come between that and its note in the book.
    twice = [id for id, number in Counter(finals(log)).items() if number > 1]
    assert len(twice) <= 1
    runs = {run.config.title: run for run in load_runs(root)}
    assert len([*root.glob("runs/*")]) == len(runs) == 20
    assert {run.status for run in runs.values()} == {"done"}
    for path, data in before.items():
        assert path.read_bytes() == data, "it was painted again"
    # One that was killed before it had a state begins anew.
    assert len(log.with_suffix(".built").read_text().splitlines()) <= 21
    _, first, second = log.with_suffix(".turns").read_text().split("begin\n")
    assert len(first.splitlines()) + len(second.splitlines()) <= 21
    assert_alternating(first.splitlines()[1:])  # who is alone is served at once
    assert_alternating(second.splitlines())
    for title, run in runs.items():
        user, k = title.split()
        shown = next(t for c, id, t, *_ in reversed(told) if id == f"m{user}-{k}")
        assert shown == f"{title}\nseed {k}\ndone"
        assert (pixels(run.picture_path) == uninterrupted(title, int(k))).all()


def assert_alternating(turns: list[str]) -> None:
    """Nobody has two turns in a row while somebody else waits."""
    users = [turn.split()[0] for turn in turns]
    pairs = enumerate(itertools.pairwise(users))
    assert all(a != b or set(users[k:]) == {a} for k, (a, b) in pairs)


def uninterrupted(title: str, seed: int) -> Any:
    config = tiny_config(prompt=title, seed=seed, steps=(4,))
    session = Session.build(config, generator=TinyGenerator(), perceptor=TinyPerceptor())
    list(session)
    return np.asarray(to_pil(session.picture()[0]))


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path).convert("RGB"))


def again(root: Path, gateway: Gateway, **more: Any) -> None:
    """Another bot in the same folder, until it owes nothing."""

    async def whole() -> None:
        async with serving(root, gateway, **more) as (_, bot, _studio):
            await until(lambda: not bot.book.open())

    asyncio.run(whole())


def halted(root: Path, gateway: Gateway, *ids: str, **more: Any) -> Path:
    """A bot that ends while it paints the first of these orders; a copy of what it leaves."""
    gate, left = Gate(), root.with_name("left")

    async def whole() -> None:
        async with serving(root, gateway, build=gate) as (_, _bot, studio):
            for id in ids:
                await gateway.imagine(id, **more)
            await asyncio.to_thread(gate.waits.wait, 60)
            with studio._news:
                studio._closing = True
            gate.open.set()

    asyncio.run(whole())
    shutil.copytree(root, left)  # the folders of this process's runs are locked by it
    return left


@pytest.fixture(autouse=True)
def tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gouache.apps.studio.painter.Painter._reopened", bot_process.reopened)


def test_a_message_that_was_sent_and_not_noted_is_found(tmp_path: Path) -> None:
    gateway = Gateway()
    root = halted(tmp_path / "runs", gateway, "1")
    book = Book(root)
    entry = book.open()[0]
    assert entry.message == "m1"
    entry.message = ""  # killed in between
    book.save(entry)
    again(root, gateway)
    assert {call for call, _, _ in gateway.history} == {"answer", "edit"}
    assert gateway.finals() == ["m1"]


def test_four_go_on_in_the_same_pixels(tmp_path: Path) -> None:
    gateway = Gateway()
    root = halted(tmp_path / "runs", gateway, "1", count=4)
    statuses = {run.status for run in load_runs(root)}
    assert "interrupted" in statuses
    again(root, gateway, limits=Limits(waiting=1))
    for run in load_runs(root):
        expected = uninterrupted("a red apple", run.config.seed)
        assert (pixels(run.picture_path) == expected).all()


def test_a_cancelled_order_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, gone_on, go_on = Gateway(), threading.Event(), Bot._go_on

    def told(bot: Bot) -> None:
        go_on(bot)
        gone_on.set()

    def held(order: Order) -> Session:
        """The studio may be quicker with the order that waits than the bot is to stop it."""
        gone_on.wait(60)
        check()
        return tiny_build(order)

    root = halted(tmp_path / "runs", gateway, "1", "2")
    monkeypatch.setattr(Bot, "_go_on", told)
    book = Book(root)
    for entry in book.open():
        entry.cancelled = True  # killed before it was heard
        book.save(entry)
    again(root, gateway, build=held)
    assert [gateway.messages[id].text.splitlines()[-1] for id in ("m1", "m2")] == ["cancelled"] * 2
    assert {run.status for run in load_runs(root)} == {"interrupted", "cancelled"}


def test_an_order_that_ends_the_bot_again_and_again_is_given_up(tmp_path: Path) -> None:
    gateway, shown = Gateway(), []
    root = halted(tmp_path / "runs", gateway, "1")
    for _ in range(RESTARTS + 1):
        book = Book(root)
        shown += [entry.restarts for entry in book.open()]
        run = load_runs(root)[0]
        run.status = "starting"  # as a kill leaves it
        run.save_about()
        asyncio.run(begun(root, gateway))
    assert gateway.finals() == ["m1"]
    assert "the bot ended more than once" in gateway.messages["m1"].text
    assert shown == [0, 1, 2, 3]


async def begun(root: Path, gateway: Gateway) -> None:
    """Starts a bot, and ends it without a step of anything."""
    studio = Studio(root, Limits().of_studio(), tiny_build)
    studio._closing = True  # it paints nothing
    bot = Bot(studio, gateway)
    bot._go_on()
    for entry in bot.book.open():
        await bot._tell(entry)
    studio.close()


def test_files_that_are_gone_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway()
    root = halted(tmp_path / "runs", gateway, "1", "2")
    (root / "runs" / Book(root).open()[1].runs[0] / "studio.json").write_text("{")
    (root / "orders" / "x.json").write_text("{")
    again(root, gateway)
    assert gateway.messages["m2"].text == "failed: files of this order are gone or damaged"
    assert gateway.messages["m1"].text.endswith("\ndone")
    assert capsys.readouterr().err.count("orders/x.json is damaged; this order is lost\n") == 1
