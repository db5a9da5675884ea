"""The bot at a fake gateway: orders, buttons, limits, and what is said of each."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot_gateway import Gateway, actions, serving, until
from gouache.apps.bot import book, telling
from gouache.apps.bot.adapter import Message
from gouache.apps.bot.bot import Bot
from gouache.apps.bot.orders import Limits, imagined
from gouache.apps.studio.worker import Studio
from gouache.errors import OutputError
from gouache.output.pictures import read_metadata
from studio_tiny import Gate

Scene = Callable[[Gateway, Bot, Studio], Awaitable[None]]


def play(root: Path, scene: Scene, **more: Any) -> None:
    async def whole() -> None:
        async with serving(root, **more) as (gateway, bot, studio):
            await scene(gateway, bot, studio)

    asyncio.run(whole())


def button(message: Message, start: str) -> str:
    return next(action for action in actions(message) if action.startswith(start))


async def painted(gateway: Gateway, id: str, **options: Any) -> Message:
    """The message of an order once it shows its result."""
    await gateway.imagine(id, **options)
    await until(lambda: f"m{id}" in gateway.finals())
    return gateway.messages[f"m{id}"]


def test_four_form_and_are_shown_with_their_files(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        await gateway.imagine("1", count=4)
        first = gateway.messages["m1"]
        assert first.text.startswith("a red apple\nseeds 3 to 6\n")
        assert not first.files
        await until(lambda: gateway.messages["m1"].files)
        preview = gateway.messages["m1"].files[0]
        assert preview.name == "preview.jpg"
        assert max(Image.open(io.BytesIO(preview.data)).size) <= telling.SIDE
        await until(lambda: "painting, " in gateway.messages["m1"].text)
        gate.open.set()
        await until(gateway.finals)
        last = gateway.messages["m1"]
        assert last.text == "a red apple\nseeds 3 to 6\ndone"
        assert [file.name for file in last.files] == [f"a-red-apple-{k}.png" for k in (1, 2, 3, 4)]
        assert [len(row) for row in last.buttons] == [4, 4, 4, 4, 1]
        file = tmp_path / "sent.png"
        file.write_bytes(last.files[2].data)
        assert read_metadata(file)["config"]["seed"] == 5
        assert [call for call, _, _ in gateway.history].count("answer") == 1
        assert gateway.finals() == ["m1"]

    play(tmp_path / "runs", scene, build=gate)


def test_vary_evolve_choose_again_and_film(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        one = await painted(gateway, "1")
        run = button(one, "evolve:").partition(":")[2]
        await gateway.press("2", f"evolve:{run}")
        assert "no other picture of yours" in gateway.lines[-1]
        two = await painted(gateway, "3", prompt="a blue pear")
        three = await painted(gateway, "4", prompt="a green leaf")
        of = {k: button(m, "vary:").partition(":")[2] for k, m in enumerate((one, two, three), 1)}
        await gateway.press("5", f"vary:{of[1]}", user="ben")
        await gateway.press("6", f"evolve:{of[1]}")  # with the last one
        await gateway.press("7", f"choose:{of[2]}")
        assert gateway.lines[-1].startswith("chosen")
        await gateway.press("8", f"evolve:{of[1]}")
        await gateway.press("9", button(two, "again:"))
        await gateway.press("10", f"film:{of[1]}")
        await until(lambda: len(gateway.finals()) == 8)
        runs = {k: [studio.runs[run] for run in e.runs] for k, e in by_message(bot).items()}
        ends = {k: f"{run}/1" for k, run in of.items()}
        told = {k: (runs[k][0].how, runs[k][0].parents, len(runs[k])) for k in ("m5", "m6", "m8")}
        assert told == {
            "m5": ("vary", (ends[1],), 4),
            "m6": ("evolve", (ends[1], ends[3]), 4),
            "m8": ("evolve", (ends[1], ends[2]), 4),
        }
        assert runs["m5"][0].config.title == "a red apple"
        assert runs["m5"][0].owner != runs["m6"][0].owner
        assert runs["m9"][0].config.updated(seed=3) == studio.runs[of[2]].config
        film = gateway.messages["m10"].files[0]
        assert film.name.startswith("a-red-apple.")
        assert len(film.data) > 100

    play(tmp_path, scene)


def by_message(bot: Bot) -> dict[str, Any]:
    return {entry.message: entry for entry in bot.book._entries.values()}


def test_users_take_turns(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        await gateway.imagine("0", user="eve", prompt="first")
        await asyncio.to_thread(gate.waits.wait, 60)
        for k in range(3):
            await gateway.imagine(f"a{k}", user="ada", prompt=f"ada {k}")
        for k in range(3):
            await gateway.imagine(f"b{k}", user="ben", prompt=f"ben {k}")
        assert "waits for its turn: 1 picture before it" in gateway.messages["mb0"].text
        gate.open.set()
        await until(lambda: len(gateway.finals()) == 7)
        assert gate.begun[1:] == [f"{user} {k}" for k in range(3) for user in ("ada", "ben")]

    play(tmp_path, scene, build=gate)


WRONG: list[dict[str, Any]] = [
    {"prompt": ""},
    {"prompt": " | "},
    {"prompt": 5},
    {"prompt": None},
    {"prompt": "a:b:c:1:2:3" * 4000},
    {"prompt": "a:0"},
    {"prompt": "apple\\"},
    {"size": "huge"},
    {"size": "4096x4096"},
    {"size": "-1x5"},
    {"size": ["32", 24]},
    {"seed": -1},
    {"seed": "x"},
    {"seed": True},
    {"seed": 2**63},
    {"count": 0},
    {"count": 5},
    {"count": "two"},
    {"avoid": " , "},
    {"avoid": 7},
    {"init_image": "/etc/passwd"},
]
NO_BUTTONS = ["", "vary", "vary:", "vary:../../x", "film:" + "0" * 32, "again:x", "cancel:x", "x:y"]


def test_what_cannot_be_is_one_line_and_not_an_order(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        for number, options in enumerate(WRONG):
            await gateway.imagine(f"w{number}", **options)
            assert len(gateway.lines) == number + 1, options
        for number, action in enumerate(NO_BUTTONS):
            await gateway.press(f"b{number}", action)
        assert len(gateway.lines) == len(WRONG) + len(NO_BUTTONS)
        for line in gateway.lines:
            assert line.strip()
            assert "\n" not in line
            assert "unexpectedly" not in line
            assert str(tmp_path) not in line
        assert not studio.runs
        assert not gateway.messages

    play(tmp_path, scene)


def test_limits_of_each_person_and_of_all(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        await gateway.imagine("1", count=2)
        await gateway.imagine("2")
        await gateway.imagine("3")
        assert gateway.lines[-1].startswith("2 orders of yours wait, at most 2 may")
        await gateway.imagine("4", user="ben")
        await gateway.imagine("5", user="eve")
        assert gateway.lines[-1].startswith("3 orders wait")
        gate.open.set()
        await until(lambda: len(gateway.finals()) == 3)
        await gateway.imagine("6", count=3)
        assert gateway.lines[-1].startswith("you had 3 pictures in 24 hours and ask for 3; at most")
        await painted(gateway, "7", count=2)
        for entry in bot.book._entries.values():
            entry.created -= 25 * 3600
        await painted(gateway, "8", count=4)

    play(tmp_path, scene, build=gate, limits=Limits(waiting=2, queue=3, daily=5))


def test_cancel_is_for_who_ordered(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        for id in ("1", "2", "3"):
            await gateway.imagine(id)
        await asyncio.to_thread(gate.waits.wait, 60)
        cancel = {id: button(gateway.messages[f"m{id}"], "cancel:") for id in ("1", "2", "3")}
        await gateway.press("4", cancel["2"], user="ben")
        assert gateway.lines[-1] == "only who ordered it may cancel it"
        await gateway.press("5", cancel["1"])
        await gateway.press("6", cancel["2"])
        assert gateway.lines[-2:] == ["cancelled", "cancelled"]
        await until(lambda: gateway.finals() == ["m2"])
        assert gateway.messages["m2"].text.endswith("\ncancelled")
        gate.open.set()
        await until(lambda: len(gateway.finals()) == 3)
        stopped = gateway.messages["m1"]
        assert stopped.text.endswith("\nstopped, as it was")
        assert len(stopped.files) == 1
        await gateway.press("7", cancel["3"])
        assert gateway.lines[-1] == "this order is finished already"
        assert len(gate.begun) == 2

    play(tmp_path, scene, build=gate)


def test_an_order_is_on_the_disk_before_it_is_answered(tmp_path: Path) -> None:
    found: list[int] = []

    class Looking(Gateway):
        async def answer(self, event: Any, message: Message, *, private: bool = False) -> str:
            found.append(len([*tmp_path.glob("orders/*.json")]))
            found.append(len([*tmp_path.glob("runs/*/studio.json")]))
            return await super().answer(event, message, private=private)

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        await painted(gateway, "1", count=2)
        assert found == [1, 2]

    play(tmp_path, scene, gateway=Looking())


def test_an_order_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise OutputError(f"cannot write {path}: no space is left on the disk")

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        monkeypatch.setattr("gouache.apps.bot.book.write_bytes", full)
        await gateway.imagine("1")
        assert "no space is left" in gateway.lines[0]
        assert str(tmp_path) not in gateway.lines[0]
        await until(lambda: all(run.ended for run in studio.runs.values()))
        assert not bot.book.open()

    play(tmp_path, scene)


def test_an_event_that_is_told_twice_is_one_order(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        await asyncio.gather(*(gateway.imagine("1") for _ in range(3)))
        await until(gateway.finals)
        await gateway.imagine("1")
        assert len(studio.runs) == 1
        assert len(gateway.messages) == 1
        assert gateway.finals() == ["m1"]

    play(tmp_path, scene)


def test_what_is_not_delivered_comes_later_and_once(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        gateway.broken = {"answer", "send", "find", "edit"}
        await gateway.imagine("1")
        await until(lambda: all(run.ended for run in studio.runs.values()))
        assert not gateway.messages
        gateway.broken = set()
        await until(gateway.finals)
        assert [call for call, _, _ in gateway.history] == ["send", "edit"]
        gateway.broken = {"edit"}
        await gateway.imagine("2")
        gateway.deleted = {"m2"}  # by a person
        gateway.broken = set()
        await until(lambda: len(gateway.finals()) == 2)
        assert gateway.finals()[-1] == "s1"

    play(tmp_path, scene)


def test_a_result_that_could_not_be_noted_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = book.write_bytes

    def full(path: Path, data: bytes) -> None:
        if b'"answered": true' in data.replace(b'":true', b'": true'):
            tried.append(path)
            if len(tried) < 4:
                raise OutputError("no space is left on the disk")
        real(path, data)

    tried: list[Path] = []

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        monkeypatch.setattr(book, "write_bytes", full)
        await gateway.imagine("1")
        await until(lambda: len(tried) == 4 and not bot.book.open())
        assert gateway.finals() == ["m1"]

    play(tmp_path, scene)


def test_long_words_are_cut_and_that_is_said(tmp_path: Path) -> None:
    words = "an apple " * 100

    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        message = await painted(gateway, "1", prompt=words)
        assert "... (cut here; all 900 characters are painted)\nseed 3\ndone" in message.text
        assert next(iter(studio.runs.values())).config.title == words

    play(tmp_path, scene)


def test_a_file_that_is_too_large_goes_smaller_and_that_is_said(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        size = len((await painted(gateway, "1", count=1)).files[0].data)
        bot._teller._file_limit = size - 1
        message = await painted(gateway, "2", count=1)
        assert message.files[0].name.endswith((".webp", ".jpg"))
        assert "PNG takes too much room here" in message.text
        bot._teller._file_limit = 10
        message = await painted(gateway, "3")
        assert not message.files
        assert "picture 1 takes too much room here" in message.text

    play(tmp_path, scene)


def test_things_to_avoid_are_negative_wishes_of_every_stage() -> None:
    found = imagined({"prompt": "a house:2 ^ a tree @left", "avoid": "people, a car | b"})
    avoided = r"people:-0.5 | a car \| b:-0.5"
    assert found["prompt"] == f"a house:2 | {avoided} ^ a tree @left | {avoided}"
    assert found["count"] == 4
    assert "size" not in found["settings"]
    assert imagined({"prompt": "a"})["settings"]["seed"] != found["settings"]["seed"]


def test_no_file_tells_who_ordered(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, bot: Bot, studio: Studio) -> None:
        message = await painted(gateway, "1", user="user-1234567")
        await gateway.press("2", button(message, "choose:"), user="user-1234567")

    play(tmp_path, scene)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"user-1234567" not in path.read_bytes(), path
