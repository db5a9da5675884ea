"""Scenes of a film: when what is shown, with which numbers and seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gouache.apps.cli.video import read_film_file
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig, FilmWarning, split
from gouache.films.curves import pack_levels
from gouache.films.film import Film
from gouache.films.script import Script
from gouache.settings.config import make_config

FILE = """
size = "32x32"
steps = 2
steps_per_frame = 1
num_cutouts = 4
start_tries = 1
perceptor = ["pocket"]
seed = 3
crossfade = 1
zoom = 1.02

[[scene]]
frames = 3
prompt = "a red sun"
learning_rate = "0.1+0.1*t"

[[scene]]
frames = 4
seed = 9
crossfade = 0
zoom = "0:(1), 3:(1.3)"
[scene.prompts]
0 = "a house"
2 = "a boat"
"""


@pytest.fixture
def asked(tmp_path: Path) -> tuple[FilmConfig, dict[str, object]]:
    path = tmp_path / "film.toml"
    path.write_text(FILE)
    mine, others = split(read_film_file(path, {}))
    return FilmConfig().updated(**mine), others


def test_a_film_file_is_a_script(asked: tuple[FilmConfig, dict[str, object]]) -> None:
    film, others = asked
    config = make_config("auto", **others)
    script = Script(config, film, (None,) * len(config.stages))  # type: ignore[arg-type]
    assert (script.num_frames, len(config.stages)) == (7, 3)
    assert [script.scene(frame) for frame in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    assert [script.changed(frame) > 0 for frame in range(7)] == [False] * 5 + [True, False]
    zoom = [script.motion(frame)["zoom"] for frame in range(7)]
    assert zoom == pytest.approx([1.02, 1.02, 1.02, 1, 1.1, 1.2, 1.3])
    rates = [script.settings(frame).optimization.learning_rate for frame in range(3)]
    assert rates == pytest.approx([0.1, 0.2 * film.frame_lr, 0.3 * film.frame_lr])
    assert [script.seed(0), script.seed(3)] == [3, 9]
    assert FilmConfig.from_dict(film.to_dict()) == film


def test_a_film_file_drives_a_film(asked: tuple[FilmConfig, dict[str, object]]) -> None:
    film, others = asked
    config = make_config("auto", **others)
    plain = Film.build(config, film.updated(crossfade_whole=False))
    assert [plain.frame for _ in plain] == [0, 0, 1, 2, 3, 4, 5, 6]
    with pytest.warns(FilmWarning, match="up to 4 steps, others 1"):
        painter = Film.build(config, film)
    shown = [painter.frame for _ in painter]
    assert shown == [0, 0, 1, 2, *[3] * 4, 4, *[5] * 2, *[6] * 2], "cuts and short fades"


def test_scenes_that_are_none_are_one_line() -> None:
    for line in ("", "x", "[]", '{"frames": 0}', '{"frames": 3}', '{"frames": 3, "prompt": 1}'):
        with pytest.raises(ConfigError, match="scene"):
            FilmConfig().updated(scenes=[line])


def test_a_script_hears_what_was_heard() -> None:
    levels = pack_levels({"beat": [0, 1, 0.2], "bass": [1, 0, 0]})
    film = FilmConfig(zoom="1+0.05*beat", frames=5, audio_levels=levels)
    script = Script(make_config(prompt="x"), film, ())
    zoom = [script.motion(frame)["zoom"] for frame in range(5)]
    assert zoom == pytest.approx([1, 1.05, 1.01, 1, 1])
    assert FilmConfig.from_dict(film.to_dict()) == film


def test_a_curve_without_a_number_in_some_frame_is_told_before_painting() -> None:
    with pytest.raises(ConfigError, match=r"zoom: .*1\^/\(t-3\)"):
        Film.build(make_config(prompt="x", scale=1), FilmConfig(zoom="2+1/(t-3)", frames=5))


@pytest.mark.parametrize("text", ["x", "[]", '{"a": ""}', '{"beat": 3}', '{"beat": "%"}'])
def test_levels_that_are_none_are_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="audio_levels"):
        FilmConfig(audio_levels=text)


def test_a_curve_that_hears_wants_a_sound(tmp_path: Path) -> None:
    for film in (
        FilmConfig(zoom="1+beat"),
        FilmConfig().updated(scenes=['{"frames": 3, "prompt": "x", "angle": "bass"}']),
    ):
        with pytest.raises(ConfigError, match=r"(zoom|angle) hears a sound and there is none"):
            Film.build(make_config(prompt="x", scale=1), film)
