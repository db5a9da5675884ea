"""Film files: what they say, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gouache.apps.film_file import read_film
from gouache.errors import ConfigError, GouacheError
from gouache.films.scenes import Scene, in_order

TOML = """
size = "64x48"
fps = 10
zoom = 1.01

[[scene]]
frames = 20
seed = 7
prompt = "calm sea:2 | gulls"
zoom = "0:(1), 19:(1.2)"
learning_rate = "0.1+0.01*t"

[[scene]]
seconds = 3
crossfade = 4
[scene.prompts]
0 = "a ship"
15 = "a storm"
"""
YAML = """
size: 64x48
fps: 10
zoom: 1.01
scene:
  - frames: 20
    seed: 7
    prompt: "calm sea:2 | gulls"
    zoom: "0:(1), 19:(1.2)"
    learning_rate: 0.1+0.01*t
  - seconds: 3
    crossfade: 4
    prompts: {0: a ship, 15: a storm}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "text"), [("film.toml", TOML), ("film.yaml", YAML)])
def test_scenes_are_read_from_toml_and_yaml(tmp_path: Path, name: str, text: str) -> None:
    values, (sea, ship) = read_film(write(tmp_path, name, text))
    assert {key: str(value) for key, value in values.items()} == {
        "size": "64x48",
        "fps": "10",
        "zoom": "1.01",
    }
    assert (sea.frames, sea.seed, sea.crossfade) == (20, 7, None)
    assert sea.prompts == ((0, "calm sea:2 | gulls"),)
    assert (ship.frames, ship.seed, ship.crossfade) == (30, None, 4)
    assert ship.prompts == ((0, "a ship"), (15, "a storm"))
    assert sea.at(19, fps=10, seed=7) == pytest.approx({"zoom": 1.2, "learning_rate": 0.29})
    assert ship.at(3, fps=10, seed=7) == {}


def test_a_scene_is_one_line_that_is_read_back(tmp_path: Path) -> None:
    _, scenes = read_film(write(tmp_path, "film.toml", TOML))
    for scene in scenes:
        assert "\n" not in str(scene)
        assert Scene.read(json.loads(str(scene))) == scene
    assert in_order([scene.plain() for scene in scenes], 10) == scenes


def test_prompts_by_frame(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts.json", '{"60": "storm", "0": "sea"}')
    _, (scene,) = read_film(path, {"frames": 90})
    assert scene == Scene(90, ((0, "sea"), (60, "storm")))
    with pytest.raises(ConfigError, match="frame 60 and the film 48 frames"):
        read_film(path)
    path = write(tmp_path, "film.yaml", "frames: 80\nprompts:\n  0: sea\n  60: storm\n")
    assert read_film(path)[1] == (Scene(80, ((0, "sea"), (60, "storm"))),)
    assert read_film(path, {"seconds": 10})[1][0].frames == 120


def test_whole_numbers_follow_curves_too() -> None:
    scene = Scene.read({"frames": 11, "num_cutouts": "0:(4), 10:(9)"})
    assert [scene.at(t, fps=12, seed=0)["num_cutouts"] for t in (0, 5, 10)] == [4, 6, 9]


def test_the_sound_changes_settings() -> None:
    scene = Scene.read({"frames": 4, "learning_rate": "0.1+0.1*beat"})
    assert scene.at(1, fps=12, seed=0, sound={"beat": 1.0}) == pytest.approx({"learning_rate": 0.2})


S = '[[scene]]\nframes = 9\nprompt = "sea"\n'
MALFORMED: dict[str, list[str]] = {
    "toml": [
        *("", "=", "[", "[[scene", "scene", 'scene = "a"', "scene = 3", "scene = []"),
        *("scene = [1]", "scene = {frames = 3}", "[scene]\nframes = 9", "a = 1\na = 2"),
        *("[[scene]]", '[[scene]]\nprompt = "sea"', "[[scene]]\nframes = 9", S + "frames = 3"),
        *(S + "seconds = 3", S + "promt = 1", S + "zom = 1", S + "steps = 3", S + "size = 3"),
        *(S + "x = {a = 1}", S + "zoom = [1]", S + "zoom = true", S + "zoom = 2026-01-01"),
        *(S + 'zoom = "0:("', S + 'zoom = "1/0"', S + 'zoom = "1/(t-3)"', S + 'zoom = "beet"'),
        *(S + 'zoom = ""', S + "zoom = nan", S + "zoom = inf", S + 'zoom = "0:(1), 0:(2)"'),
        *(S + "learning_rate = 0", S + 'learning_rate = "1-t"', S + 'learning_rate = "10**9"'),
        *(S + "num_cutouts = 0", S + 'num_cutouts = "0:(4), 8:(-4)"', S + "seed = -1"),
        *(S + "seed = 1.5", S + "seed = 99999999999999999999", S + 'seed = "a"', S + "seed = []"),
        *(S + "crossfade = -1", S + "crossfade = 0.5", S + "crossfade = 9999999"),
        *(S + "start = 4", S + S + "start = 4", S + S + "start = 20", S + "start = -1"),
        *(
            S + S.replace("9", "0"),
            S.replace("9", "-9"),
            S.replace("9", "1e9"),
            S.replace("9", "1.5"),
        ),
        *(S.replace("9", '"nine"'), S.replace("9", "true"), S.replace("9", "[9]")),
        *(
            S.replace("frames", "seconds").replace("9", "0"),
            S.replace("frames = 9", "seconds = nan"),
        ),
        *(S.replace("frames = 9", "seconds = -1"), S.replace("frames = 9", "seconds = inf")),
        *(S.replace('"sea"', '""'), S.replace('"sea"', "3"), S.replace('"sea"', '["sea"]')),
        *(S.replace('"sea"', '"sea ^ ship"'), S.replace('"sea"', '"sea:1e999"')),
        *(S + "[scene.prompts]\n0 = 'x'", "[[scene]]\nframes = 9\nprompts = 'x'"),
        *(
            "[[scene]]\nframes = 9\n[scene.prompts]",
            "[[scene]]\nframes = 9\n[scene.prompts]\n3 = 'x'",
        ),
        *(
            f"[[scene]]\nframes = 9\n[scene.prompts]\n0 = 'x'\n{one}"
            for one in ("9 = 'y'", "a = 'y'")
        ),
        *(
            f"[[scene]]\nframes = 9\n[scene.prompts]\n0 = 'x'\n{one}"
            for one in ("00 = 'y'", "1 = ''")
        ),
        *("frames = 9\n" + S, "seconds = 9\n" + S, "prompt = 'x'\n" + S, "sizes = 3\n" + S),
        *("prompts = {0 = 'x'}\n" + S, "fps = 0\n" + S, "fps = 'x'\n" + S, "zoom = '0:('\n" + S),
        *(
            "prompt = 'x'\nprompts = {0 = 'x'}",
            "prompts = {0 = 'x', 60 = 'y'}",
            "border = 'x'\n" + S,
        ),
    ],
    "json": [
        *("", "{", "[]", "1", "null", '"sea"', "[1, 2]", '{"0": "a", "0": "b"}', '{"0": "a",}'),
        *(
            '{"0": "a", "00": "b"}',
            '{"1": "a"}',
            '{"0": ""}',
            '{"0": 3}',
            '{"0": null}',
            '{"-1": "a"}',
        ),
        *(
            '{"0": "a", "9999999": "b"}',
            '{"0": "a", "x": "b"}',
            '{"0": {"a": 1}}',
            '{"prompts": {}}',
        ),
        *('{"0": "a ^ b"}', '{"scene": null}', '{"scene": [null]}', '{"scene": [[]]}', "{}", "\0"),
    ],
    "yaml": [
        *(
            ":",
            "- a",
            "a: [",
            "scene:",
            "scene: x",
            "scene: [{}]",
            "0: a\n0: b",
            "? [1]\n: 2",
            "a: *b",
        ),
        *(
            "scene: &a [*a]",
            "&a {scene: [*a]}",
            "!!python/object/apply:os.system ['ls']",
            "0:",
            "\t",
        ),
        *("scene:\n  - frames: 3\n    frames: 4", "scene:\n  - {frames: 3, prompt: ~}", "zoom"),
    ],
}
LISTED = [(suffix, text) for suffix, texts in MALFORMED.items() for text in texts]


def test_a_frame_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'x'"):
        read_film(write(tmp_path, "film.json", '{"0": "a", "x": "b"}'))


@pytest.mark.parametrize(("suffix", "text"), LISTED)
def test_a_malformed_film_file_is_one_line(tmp_path: Path, suffix: str, text: str) -> None:
    with pytest.raises(GouacheError) as caught:
        read_film(write(tmp_path, f"film.{suffix}", text))
    assert "\n" not in str(caught.value)
    assert 0 < len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"film file .* cannot be read"):
        read_film(tmp_path / name)


def test_names_that_are_nearly_right_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scene 1 has 'zom'.*did you mean zoom"):
        read_film(write(tmp_path, "film.toml", S + "zom = 1"))
    with pytest.raises(ConfigError, match=r"has 'sizes'.*did you mean size"):
        read_film(write(tmp_path, "film.toml", "sizes = 3\n" + S))
    with pytest.raises(ConfigError, match=r"scene 2 starts at frame 4 .*at 9: they overlap"):
        read_film(write(tmp_path, "film.toml", S + S + "start = 4"))
    with pytest.raises(ConfigError, match=r"scene 1: zoom: .*character 2: 1\^/\(t-3\)"):
        read_film(write(tmp_path, "film.toml", S + 'zoom = "1/(t-3)"'))


_PLAIN: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
_NAMES = st.sampled_from(["frames", "seconds", "prompt", "prompts", "seed", "start", "zoom", "lr"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scenes=st.lists(st.dictionaries(_NAMES, _PLAIN, max_size=5), max_size=3))
def test_whatever_scenes_hold_is_read_or_one_line(scenes: list[dict[str, Any]]) -> None:
    try:
        found = in_order(scenes, 12)
    except GouacheError as error:
        is_one_line(error)
    else:
        assert in_order([scene.plain() for scene in found], 12) == found


def is_one_line(error: GouacheError) -> None:
    assert "\n" not in str(error)
