"""A studio on the tiny models, whose runs wait at a gate."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.runs import Run
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.settings.config import make_config
from studio_client import tiny_build


def order(prompt: str = "a red apple", **settings: Any) -> Order:
    """What the studio is asked for."""
    values = {"size": "32x24", "steps": [6], "num_cutouts": 4, **settings}
    return Order(make_config("auto", prompt=prompt, **values))


class Gate:
    """A build whose runs wait before their second step until `open` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.waits = threading.Event()  # set once a run waits
        self.begun: list[str] = []  # prompts, in the order of their turns

    def __call__(self, asked: Order) -> Session:
        self.begun.append(asked.config.title)
        session = tiny_build(asked)
        advance = session._try_step

        def patient() -> Any:
            if session.step_index == 1:
                self.waits.set()
                self.open.wait(60)
            return advance()

        session._try_step = patient  # type: ignore[method-assign]
        return session


@contextmanager
def gated(root: Path, gate: Gate, limits: Limits | None = None) -> Iterator[Studio]:
    """A studio whose runs wait at the gate; it is open in the end."""
    studio = Studio(root, limits, gate)
    yield studio
    gate.open.set()
    studio.close()


def until(told: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def reaches(run: Run, *statuses: str) -> None:
    until(lambda: run.status in statuses)


def strokes(color: tuple[int, int, int] = (16, 48, 224), size: tuple[int, int] = (32, 24)) -> bytes:
    """The left half painted over, PNG with alpha."""
    picture = Image.new("RGBA", size)
    picture.paste((*color, 255), (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
