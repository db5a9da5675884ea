"""A bot at a fake gateway in a process of its own, to be killed: python bot_process.py ROOT LOG.

It is told the same twenty orders each time, and ends when all of them are answered.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot_gateway import Gateway, serving, until
from gouache.apps.bot.adapter import Message
from gouache.apps.studio.orders import Order
from gouache.apps.studio.painter import Painter
from gouache.apps.studio.runs import Run
from gouache.engine import Session, resume_session
from gouache.output.run_folder import RunFolder
from studio_client import tiny_build
from tiny import TinyGenerator, TinyPerceptor

ORDERS = [(f"{user}-{k}", user, k) for user in ("ada", "ben") for k in range(10)]


class Remembering(Gateway):
    """A service knows its messages, whatever becomes of the bot."""

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        log.touch()
        for line in log.read_text().splitlines():
            self.messages[line.split('"')[3]] = Message("")


def slow(session: Session) -> Session:
    advance = session._try_step

    def patient() -> Any:
        time.sleep(0.02)
        return advance()

    session._try_step = patient  # type: ignore[method-assign]
    return session


def reopened(painter: object, folder: RunFolder) -> Session:
    """In the place of `Painter._reopened`, with the tiny models."""
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    return resume_session(folder.state_path, **models)


async def main(root: Path, log: Path) -> None:
    def note(kind: str, text: str) -> None:
        with log.with_suffix(f".{kind}").open("a") as file:
            file.write(f"{text}\n")

    taken, paint = threading.Event(), Painter.paint

    def build(order: Order) -> Any:
        note("built", order.config.title)
        return slow(tiny_build(order))

    def turn(self: Painter, run: Run) -> Iterator[None]:
        taken.wait()
        note("turns", run.config.title)
        return paint(self, run)

    note("turns", "begin")
    Painter.paint = turn  # type: ignore[method-assign]
    Painter._reopened = lambda *given: slow(reopened(*given))  # type: ignore[method-assign]
    async with serving(root, Remembering(log), build=build) as (gateway, bot, _):
        for id, user, k in ORDERS:
            await gateway.imagine(id, user=user, prompt=f"{user} {k}", seed=k)
        taken.set()
        print("taken", flush=True)
        await until(lambda: not bot.book.open())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
