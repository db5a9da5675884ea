"""What diverges leaves its last good picture, whichever face it is painted by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from gouache.apps.studio.worker import Studio
from gouache.engine import Session, resume_session
from gouache.errors import DivergedError
from gouache.notebook import Live
from gouache.ops.images import to_pil
from gouache.output.run_folder import RunFolder
from gouache.runs.drive import Run, drive
from gouache.runs.keep import Keep
from gouache.runs.outputs import Outputs
from gouache.runs.places import run_settings
from studio_client import tiny_build
from studio_tiny import order, reaches
from tiny import TinyGenerator, TinyPerceptor, tiny_session

AT = 3


def diverging(session: Session) -> list[Image.Image]:
    """Makes step `AT` fail; the list gets the picture that was the last good one."""
    advance, good = session._try_step, []

    def step() -> Any:
        if session.step_index == AT:
            assert session._shown is not None
            image = 1 - session._shown  # to be told from the session's own
            good.append(to_pil(image[0]))
            raise DivergedError("the loss is not a finite number", image, AT)
        return advance()

    session._try_step = step  # type: ignore[method-assign]
    return good


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox() is None


def test_files(tmp_path: Path) -> None:
    session = tiny_session()
    good, outputs = diverging(session), Outputs(tmp_path / "a.png", tmp_path / "run", 1)
    settings = run_settings(session.config, outputs)
    with RunFolder.create(tmp_path / "run", settings) as folder, pytest.raises(DivergedError):  # noqa: SIM117
        with Keep(outputs, folder) as keep:
            drive(Run(session), [keep])
    assert same(Image.open(tmp_path / "a.png"), good[0])
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    again = resume_session(tmp_path / "run" / "state.safetensors", **models)
    assert again.step_index == AT


def test_a_notebook() -> None:
    session = tiny_session()
    good = diverging(session)
    view = Live(session)
    with pytest.raises(DivergedError):
        view.go_on()
    assert same(view.image, good[0])


def test_the_studio(tmp_path: Path) -> None:
    found: list[Image.Image] = []
    goods: list[list[Image.Image]] = []

    def build(asked: Any) -> Session:
        session = tiny_build(asked)
        goods.append(diverging(session))
        return session

    studio = Studio(tmp_path / "runs", build=build)
    run = studio.submit(order("a red apple"), "ada")
    reaches(run, "failed")
    found.append(Image.open(run.picture_path))
    assert run.newest_picture() == run.picture_path
    assert "finite" in run.error
    studio.close()
    assert same(found[0], goods[0][0])
