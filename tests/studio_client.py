"""What tests of the studio send to it and wait for, with tiny models."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.apps.studio.orders import Order
from gouache.engine import Session, SessionState
from gouache.errors import OutputError
from gouache.films.film import Film
from gouache.output.run_folder import RunFolder
from tiny import TinyGenerator, TinyPerceptor, tiny_config

SMALL = {"size": "32x24", "steps": [6], "num_cutouts": 4}


def tiny_build(order: Order) -> Session | Film:
    """Paints what is asked for with the tiny models."""
    config = tiny_config(
        prompt=order.config.title or "a fish",
        size=order.config.size,
        steps=order.config.steps,
        seed=order.config.seed,
        scale=order.config.scale,
        init_image="" if order.image is None else str(order.image),
        cross_image="" if order.other is None or order.film is None else str(order.other),
    )
    if order.film is not None:
        return Film.build(config, order.film, generator=TinyGenerator(), perceptor=TinyPerceptor())
    return Session.build(config, generator=TinyGenerator(), perceptor=TinyPerceptor())


def tiny_reopened(painter: object, folder: RunFolder) -> Film:
    """In the place of `FilmPainter._reopened`: films go on with the tiny models, too."""
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    return Film.from_state(SessionState(*folder.load_state()), **models)


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def upload(client: Any, data: bytes | None = None) -> str:
    """Sends a picture; its id."""
    answer = client.post("/api/images", content=data or file_of(Image.new("RGB", (32, 24), "red")))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def submit(client: Any, prompt: str = "a red apple", **more: Any) -> str:
    """Orders a picture; the run's id."""
    settings = {**SMALL, **more.pop("settings", {})}
    answer = client.post("/api/runs", json={"prompt": prompt, "settings": settings, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def wait(client: Any, run: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
    """The run as soon as it has one of these statuses."""
    deadline = time.monotonic() + seconds
    while (told := client.get(f"/api/runs/{run}").json())["status"] not in statuses:
        assert time.monotonic() < deadline, told
        assert told["status"] != "failed", told
        time.sleep(0.01)
    return dict(told)


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of a run cannot be written any more."""

    def full(path: Path, *_: object) -> None:
        raise OutputError(f"cannot write {path}: no space is left on the disk")

    monkeypatch.setattr("gouache.apps.studio.runs.write_bytes", full)
