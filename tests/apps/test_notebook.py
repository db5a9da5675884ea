"""Live painting in notebooks, what objects look like there, and the example notebooks."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from PIL import Image

from gouache.apps import notebook
from gouache.errors import ConfigError, DivergedError
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.html import plot, table
from gouache.notebook import live
from gouache.ops.images import to_pil
from gouache.output.video import read_any_metadata
from gouache.runs.drive import Run
from gouache.runs.painting import painted
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

FAST = """
from gouache.settings.config import PRESETS
PRESETS["pocket"] |= {"size": (64, 64), "steps": (20,), "num_cutouts": 3, "start_steps": 2}
PRESETS["photo"] |= PRESETS["pocket"]
"""
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


@pytest.fixture
def widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a kernel that has ipywidgets; what is displayed goes nowhere."""
    monkeypatch.setattr(notebook, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: None)


def test_the_buttons_pause_continue_and_stop(widgets: None) -> None:
    session = tiny_session(steps=(200_000,))
    view = live(session)
    face = view._face
    while session.step_index < 3:
        time.sleep(0.001)
    assert view.painting
    face._pause.click()
    assert not view.painting
    step = session.step_index
    assert face._status.value == f"paused, step {step} of 200000"
    assert face._bar.value == step
    assert "<polyline" in face._plot.value
    assert (face._pause.disabled, face._go_on.disabled, face._stop.disabled) == (True, False, False)
    time.sleep(0.05)
    assert session.step_index == step
    face._go_on.click()
    while session.step_index < step + 3:
        time.sleep(0.001)
    face._stop.click()
    assert view.finished
    assert face._status.value.startswith("stopped")
    assert face._go_on.disabled
    assert len(view.losses) == session.step_index
    assert repr(view).startswith("<Live finished")


def test_it_ends_in_the_pixels_of_a_plain_loop(widgets: None) -> None:
    session, plain = tiny_session(), tiny_session()
    view = live(session).wait(60)
    assert view.finished
    for _ in plain:
        pass
    assert view.image.tobytes() == to_pil(plain.picture()[0]).tobytes()
    assert view._repr_png_().startswith(b"\x89PNG")
    shown = view._face._image.value
    assert bytes(shown).startswith(b"\xff\xd8")


def test_a_failure_is_shown_and_raised(widgets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tiny_session()

    def fail() -> None:
        raise DivergedError("the loss is\nnot finite", session.picture(), 3)

    monkeypatch.setattr(session, "_try_step", fail)
    view = live(session)
    with pytest.raises(DivergedError):
        view.wait(60)
    assert view._face._status.value == "failed: the loss is not finite"


def test_without_a_notebook_it_paints_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    view = live(tiny_session())
    assert view.finished
    assert "step 6/6" in capsys.readouterr().err
    assert view.go_on() is view


def test_without_widgets_a_display_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Place:
        def update(self, what: Any) -> None:
            shown.append(what.data)

    monkeypatch.setattr(notebook, "_in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: Place())
    view = live(tiny_session())
    assert view.finished
    assert "done, step 6 of 6" in shown[-1]
    assert "data:image/png" in shown[-1]


def tiny_film() -> Film:
    film = FilmConfig(frames=3, steps_per_frame=2, zoom="1.05", fps=5.0)
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    return Film.build(tiny_config(steps=3), film, **models)


def test_a_film_is_seen_frame_by_frame_and_moves_in_the_end(
    widgets: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[bytes] = []
    show = notebook._Widgets.picture

    def noting(self: Any, image: Image.Image, step: Any) -> None:
        shown.append(image.tobytes())
        show(self, image, step)

    monkeypatch.setattr(notebook, "PER_SECOND", 1e9)
    monkeypatch.setattr(notebook._Widgets, "picture", noting)
    view = live(tiny_film()).wait(60)
    assert view.finished
    frames = [frame.tobytes() for frame in view.film.frames]
    assert len(frames) == 3
    # The first one as it comes about, then whole frames; the last once more.
    assert (len(shown), shown[2:]) == (6, [*frames, frames[-1]])
    face = view._face
    assert (face._image.format, bytes(face._image.value[:4])) == ("gif", b"GIF8")
    assert face._status.value == "done, frame 3 of 3, step 7 of 7"
    path = view.film.save(tmp_path / "x.gif")
    assert read_any_metadata(path)["film"]["zoom"] == "1.05"
    assert "data:image/gif" in view.film._repr_html_()
    with pytest.raises(ConfigError, match="no film"):
        live(tiny_session()).wait(60).film  # noqa: B018


def test_ctrl_c_pauses_in_the_foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    session = tiny_session()
    advance, interrupted = session._try_step, []

    def interrupting() -> Any:
        if session.step_index == 2 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return advance()

    monkeypatch.setattr(session, "_try_step", interrupting)
    view = live(session)
    assert session.step_index == 2
    assert not view.finished
    assert view.go_on().finished


def test_a_width_that_is_none() -> None:
    with pytest.raises(ConfigError, match="16 to 4096"):
        live(tiny_session(), width=3)


def test_objects_show_themselves() -> None:
    session = tiny_session(prompt="<b>a red apple</b>", count=2)
    step = next(session)
    text = session._repr_html_()
    assert "&lt;b&gt;a red apple&lt;/b&gt;" in text
    assert "1 of 6" in text
    assert "float32" in text
    data = re.search("base64,([^']+)'", text)
    assert data is not None
    assert base64.b64decode(data[1]).startswith(b"\x89PNG")
    assert step._repr_png_().startswith(b"\x89PNG")
    painting = painted(Run(session))
    shown = painting._repr_html_()
    assert "<polyline" in shown
    assert shown.count("<img") == 1
    config = session.config._repr_html_()
    changed, everything = config.split("<details>")
    assert "num_cutouts" in changed
    assert "affine_degrees" not in changed
    assert "affine_degrees" in everything


def test_html_pieces() -> None:
    assert "&amp;" in table([("a&b", 1.5)])
    assert plot([1.0]) == plot([float("nan"), float("inf")]) == ""
    assert "nan" not in plot([1.0, float("nan"), 0.5])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_notebooks_run(path: Path, tmp_path: Path) -> None:
    document = nbformat.read(path, as_version=4)
    # As they are, but small, and with the faster of the guides where they name none.
    document.cells.insert(0, nbformat.v4.new_code_cell(FAST))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(tmp_path / "ipython")}
    client = nbclient.NotebookClient(
        document, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=environment)
    outputs = [out for cell in document.cells for out in cell.get("outputs", ())]
    kinds = {kind for out in outputs for kind in out.get("data", ())}
    assert "image/png" in kinds
    assert not [out for out in outputs if out.output_type == "error"]
    for out in outputs:
        if "image/png" in out.get("data", {}):
            png = base64.b64decode(out["data"]["image/png"])
            (tmp_path / "out.png").write_bytes(png)
            assert min(Image.open(tmp_path / "out.png").size) >= 64


def test_there_are_three_examples() -> None:
    assert len(EXAMPLES) == 3
