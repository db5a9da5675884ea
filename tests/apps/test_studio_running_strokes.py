"""Strokes on a running picture: taken in between two steps, exactly the same when it goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.runner import _laying
from gouache.apps.studio.drawings import is_joined, nearness
from gouache.apps.studio.http import make_app
from gouache.apps.studio.runs import Run, load_runs
from gouache.apps.studio.uploads import lay_together
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.engine.edits import lay_strokes
from gouache.errors import ConfigError, ImageError, StateError
from gouache.ops.images import to_pil
from gouache.output.pictures import read_metadata
from gouache.runs.drive import Run as Driven
from gouache.runs.drive import drive
from gouache.runs.replaying import Named, replay_settings
from studio_client import submit, tiny_build
from studio_tiny import Gate, gated, order, reaches, strokes, until
from tiny import TinyGenerator, TinyPerceptor


@pytest.fixture
def studio(tmp_path: Path, gate: Gate) -> Iterator[Studio]:
    with gated(tmp_path / "runs", gate) as studio:
        yield studio


def running(studio: Studio, gate: Gate) -> Run:
    """A run that waits within its second step."""
    run = studio.submit(order(), "ada")
    until(gate.waits.is_set)
    return run


def expected(*, stop: int = 6, near: float = 0.0) -> Session:
    session = tiny_build(order())
    for _ in range(2):
        next(session)
    lay_strokes(session, Image.open(io.BytesIO(strokes())).convert("RGBA"), "1.png", near)
    while session.step_index < stop:
        next(session)
    return session


def pixels(picture: Image.Image | Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(picture) if isinstance(picture, Path) else picture)


def test_strokes_are_taken_in_between_two_steps(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes())
    assert run.status == "painting"
    gate.open.set()
    reaches(run, "done")
    assert [node["kind"] for node in run.nodes] == ["start", "drawn", "end"]
    assert run.nodes[1]["step"] == 2
    made = to_pil(expected().picture()[0])
    assert (pixels(run.picture_path) == pixels(made)).all()
    assert (pixels(made) != pixels(to_pil(finished().picture()[0]))).any()
    assert list(run.path.glob("drawings/*")) == []


def test_strokes_are_taken_back_until_they_are_laid(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes((255, 0, 0)))
    studio.draw(run, strokes())
    studio.undraw(run)  # the last ones
    assert len(run.drawings) == 1
    run.laying = 1  # as while the painter lays it
    with pytest.raises(ConfigError, match="in the picture already"):
        studio.undraw(run)
    run.laying = 0
    studio.undraw(run)
    assert list(run.path.glob("drawings/*")) == []
    gate.open.set()
    reaches(run, "done")
    assert [node["kind"] for node in run.nodes] == ["start", "end"]
    assert (pixels(run.picture_path) == pixels(to_pil(finished().picture()[0]))).all()


def test_what_is_being_laid_is_not_taken_back(
    studio: Studio, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def laid(session: Session, *rest: Any) -> Image.Image:
        with pytest.raises(ConfigError, match="in the picture already") as error:
            studio.undraw(run)
        refused.append(error.value)
        return lay_strokes(session, *rest)

    monkeypatch.setattr("gouache.apps.studio.painter.lay_strokes", laid)
    run = running(studio, gate)
    studio.draw(run, strokes())
    gate.open.set()
    reaches(run, "done")
    assert len(refused) == 1
    assert run.laying == 0
    assert [node["kind"] for node in run.nodes] == ["start", "drawn", "end"]


def test_strokes_of_one_pause_are_not_taken_back_in_part(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    run.drawings.append(run.path / "1.joined.png")
    with pytest.raises(ConfigError, match="in the picture already"):
        studio.undraw(run)
    run.drawings.clear()
    gate.open.set()


def finished() -> Session:
    session = tiny_build(order())
    list(session)
    return session


def test_it_goes_on_in_the_same_pixels_in_another_server(
    studio: Studio, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes())
    studio.pause(run)  # before it is laid: it waits
    gate.open.set()
    reaches(run, "paused")
    assert len(run.drawings) == 1
    session = run.session
    assert session is not None
    assert session.step_index == 1  # the step that was under way is done again
    studio.go_on(run)
    reaches(run, "done")
    (edit,) = [edit for edit in session.edits if edit["edit"] == "image"]
    kept = run.path / "strokes" / edit["strokes"]
    again = tiny_build(order())
    while again.step_index < edit["step"]:
        next(again)
    lay_strokes(again, Image.open(kept), kept.name)
    assert again.edits == session.edits
    list(again)
    assert (pixels(run.picture_path) == pixels(to_pil(again.picture()[0]))).all()


def test_what_is_drawn_before_stop_is_in_the_picture(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes((255, 0, 0)))
    studio.draw(run, strokes())
    studio.stop(run)
    with pytest.raises(ConfigError, match="about to end"):
        studio.draw(run, strokes())
    gate.open.set()
    reaches(run, "stopped")
    assert [node["kind"] for node in run.nodes] == ["start", "drawn", "end"]
    left = pixels(run.picture_path)[:, :14].reshape(-1, 3)
    assert (left == (16, 48, 224)).all()  # the last on top
    with pytest.raises(ConfigError, match="the run is stopped"):
        studio.draw(run, strokes())


def test_drawing_on_a_running_picture_by_the_interface(tmp_path: Path, gate: Gate) -> None:
    studio = Studio(tmp_path, build=gate)
    with TestClient(make_app(studio, local=True)) as client:
        run = studio.runs[submit(client)]
        until(gate.waits.is_set)
        for _ in range(3):
            answer = client.post(f"/api/runs/{run.id}/draw", content=strokes())
            assert answer.status_code == 200, answer.text
        assert client.post(f"/api/runs/{run.id}/undraw").status_code == 200
        gate.open.set()
        reaches(run, "done")
        assert [node["kind"] for node in run.nodes] == ["start", "drawn", "end"]


def test_the_picture_is_replayed_with_its_strokes(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes())
    gate.open.set()
    reaches(run, "done")
    record = read_metadata(run.picture_path)
    found = replay_settings(record, run.picture_path, Named())
    assert found.strokes == ((2, run.path / "strokes" / "1.png", 0.0),)
    again = Session.build(found.config, generator=TinyGenerator(), perceptor=TinyPerceptor())
    drive(Driven(again), [_laying(found.strokes)])
    assert (pixels(run.picture_path) == pixels(to_pil(again.picture()[0]))).all()
    kept = run.path / "strokes" / "1.png"
    for damage in (b"", strokes((1, 2, 3))):
        kept.write_bytes(damage)
        with pytest.raises(StateError, match="changed by hand"):
            replay_settings(record, run.picture_path, Named())


def test_strokes_on_what_was_painted_already_are_not_replayed(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes())
    studio.stop(run)
    gate.open.set()
    reaches(run, "stopped")
    with pytest.raises(StateError, match="changed by hand"):
        replay_settings(read_metadata(run.picture_path), run.picture_path, Named())


def test_strokes_stay_as_near_as_was_asked(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.draw(run, strokes((255, 0, 0)), 0.2)
    studio.draw(run, strokes(), 0.55)  # what is laid together stays as the last does
    gate.open.set()
    reaches(run, "done")
    made = to_pil(expected(near=0.55).picture()[0])
    assert (pixels(run.picture_path) == pixels(made)).all()
    assert (pixels(made) != pixels(to_pil(expected().picture()[0]))).any()
    record = read_metadata(run.picture_path)
    assert record["edits"][0]["near"] == 0.55
    found = replay_settings(record, run.picture_path, Named())
    assert found.strokes == ((2, run.path / "strokes" / "1.png", 0.55),)
    again = Session.build(found.config, generator=TinyGenerator(), perceptor=TinyPerceptor())
    drive(Driven(again), [_laying(found.strokes)])
    assert (pixels(run.picture_path) == pixels(to_pil(again.picture()[0]))).all()
    for damage in ("much", 2, None):
        record["edits"][0]["near"] = damage
        with pytest.raises(ImageError, match="near"):
            replay_settings(record, run.picture_path, Named())


def test_strokes_of_one_pause_stay_as_near_as_the_last(studio: Studio, gate: Gate) -> None:
    run = running(studio, gate)
    studio.pause(run)
    gate.open.set()
    reaches(run, "paused")
    for near in (0.9, 0.0, 0.35):
        studio.draw(run, strokes(), near)
        studio.join_drawings(run, lay_together)
    (waits,) = run.drawings
    assert is_joined(waits)
    assert nearness(waits) == 0.35
    assert load_runs(studio.root)[0].drawings == [waits]  # another server finds it
    studio.go_on(run)
    reaches(run, "done")
    edits = [edit for edit in read_metadata(run.picture_path)["edits"] if "strokes" in edit]
    assert [edit["near"] for edit in edits] == [0.35]


def test_how_near_by_the_interface(tmp_path: Path, gate: Gate) -> None:
    studio = Studio(tmp_path, build=gate)
    with TestClient(make_app(studio, local=True)) as client:
        run = studio.runs[submit(client)]
        until(gate.waits.is_set)
        for wrong in ("much", "", "nan", "-0.1", "1.01"):
            answer = client.post(f"/api/runs/{run.id}/draw?near={wrong}", content=strokes())
            assert answer.status_code == 400
            assert "expected a number from 0 to 1" in answer.json()["error"]
        assert run.drawings == []
        answer = client.post(f"/api/runs/{run.id}/draw?near=0.6", content=strokes())
        assert answer.status_code == 200, answer.text
        gate.open.set()
        reaches(run, "done")
        assert read_metadata(run.picture_path)["edits"][0]["near"] == 0.6
