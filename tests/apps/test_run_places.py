"""Run folders: no path of the machine, moved with their picture, and what resume refuses."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gouache.apps import runner
from gouache.editing import EditConfig
from gouache.editing.editor import make_plan, start
from gouache.engine import Session, SessionState, resume_session, save_session
from gouache.errors import StateError
from gouache.output.pictures import read_metadata
from gouache.output.run_folder import RunFolder
from gouache.output.state import load_state, save_state
from gouache.runs import places
from gouache.runs.outputs import Outputs
from gouache.settings.config import PaintConfig, make_config
from small import SMALL
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session

SCENE = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"
RUN = ["a fish", "-q", *SMALL, "--save-every", "1"]


def pixels(name: str | Path) -> Any:
    return np.asarray(Image.open(name))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def killed(dies_at):
    """Paints and dies before the third step."""
    return lambda *arguments: dies_at(2, *RUN, *arguments)


def no_paths(folder: Path, *secrets: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != places.PLACES:
            for secret in (*secrets, str(Path.cwd()), str(Path.home())):
                assert secret.encode() not in path.read_bytes(), path


def test_a_run_folder_moves_with_its_picture(gouache, killed, tmp_path):
    assert gouache(*RUN, "--out", "whole.png").code == 0
    (tmp_path / "a").mkdir()
    killed("--out", "a/x.png", "--run-dir", "a/run", "--timelapse", "a/x.gif")
    no_paths(Path("a"))
    assert not (Path("a/run") / places.PLACES).exists()
    (tmp_path / "a").rename(tmp_path / "b")
    result = gouache("resume", "b/run", "-q")
    assert (result.code, result.out.split()) == (0, ["b/x.png"])
    assert np.array_equal(pixels("b/x.png"), pixels("whole.png"))
    assert Path("b/x.gif").exists()


def test_resume_writes_where_it_was_asked_to(gouache, killed, tmp_path, monkeypatch):
    (tmp_path / "home" / "me").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    monkeypatch.chdir(tmp_path / "work")
    far = tmp_path / "home" / "me" / "x.png"
    killed("--out", far, "--run-dir", "run")
    no_paths(Path("run"), str(tmp_path), "home")
    kept = Path("run") / places.PLACES
    assert json.loads(kept.read_text()) == {"out": "~/x.png"}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert gouache("resume", "run", "-q").code == 0
    assert far.exists()
    kept.unlink()  # shared without it, the picture goes beside the folder
    with RunFolder.open("run") as folder:
        assert places.stored_outputs(folder).out == Path("x.png")


def test_folders_of_earlier_versions_hold_whole_paths(gouache, killed, tmp_path):
    killed("--out", "x.png", "--run-dir", "run")
    path = Path("run/settings.json")
    document = json.loads(path.read_text())
    (tmp_path / "far").mkdir()
    document["outputs"]["out"] = str(tmp_path / "far" / "x.png")
    path.write_text(json.dumps(document))
    assert gouache("resume", "run", "-q").code == 0
    assert (tmp_path / "far" / "x.png").exists()


def test_a_path_that_leads_through_a_home_is_not_told(tmp_path, monkeypatch):
    home = tmp_path / "home" / "me"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    config = tiny_config()
    for here in (tmp_path, tmp_path / "home", home):
        monkeypatch.chdir(here)
        for run in (tmp_path / "run", tmp_path / "home" / "run", home / "run", home / "a" / "run"):
            for out in (home / "x.png", home / "a" / "x.png", tmp_path / "x.png"):
                told = places.run_settings(config, Outputs(out, run))["outputs"]["out"]
                assert str(tmp_path) not in told
                assert "me" not in told.replace("x.png", "").split("/")


def test_resume_needs_no_init_image_and_keeps_its_name(gouache, killed, tmp_path):
    (tmp_path / "far").mkdir()
    Image.effect_noise((40, 30), 60).convert("RGB").save("far/sea.png")
    asked = ["--init-image", tmp_path / "far" / "sea.png", "--image-prompt", "far/sea.png:0.5"]
    assert gouache(*RUN, *asked, "--out", "whole.png").code == 0
    killed(*asked, "--out", "x.png", "--run-dir", "run")
    shutil.rmtree("far")
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("x.png"), pixels("whole.png"))
    no_paths(Path("run"), "far")
    told = read_metadata(Path("x.png"))
    assert told["inputs"] == read_metadata(Path("whole.png"))["inputs"]
    assert told["config"] == read_metadata(Path("whole.png"))["config"]


def test_words_may_change_after_the_image_prompt_has_gone(tmp_path):
    path = tmp_path / "sea.png"
    Image.new("RGB", (20, 20), "blue").save(path)
    session = tiny_session(image_prompts=(str(path),))
    next(session)
    save_session(session, tmp_path / "state")
    path.unlink()
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
    for one in (session, resume_session(tmp_path / "state", **models)):
        one.set_prompt("a boat")
        assert [str(prompt) for prompt in one.prompts] == ["a boat", "sea.png"]
        assert str(tmp_path) not in json.dumps(one.state_dict().meta)


def test_another_picture_of_the_same_name_is_another_run(tmp_path):
    for name, color in (("a", "red"), ("b", "blue")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), color).save(tmp_path / name / "p.png")
    one, two = (tiny_session(init_image=str(tmp_path / name / "p.png")) for name in "ab")
    with pytest.raises(StateError, match=r"saved with p\.png \(sha256 .* as init_image"):
        two.load_state_dict(one.state_dict())
    one.load_state_dict(one.state_dict())


def test_states_of_earlier_versions_lose_their_paths():
    session = tiny_session()
    next(session)
    state = session.state_dict()
    state.meta["config"]["init_image"] = "/home/me/images/TOKEN/ab.png"
    state.meta["config"]["image_prompts"] = ["/home/me/images/TOKEN/cd.png:0.5"]
    state.meta["edits"] = [
        {"step": 1, "edit": "prompts", "prompts": state.meta["stages"][0]["targets"]},
    ]
    state.meta["edits"][0]["prompts"][0]["prompt"]["path"] = "/home/me/x.png"
    state.meta.pop("inputs", None)
    config = tiny_config(init_image="ab.png", image_prompts=("cd.png:0.5",))
    parts = _blank(config)
    again = Session(parts)
    again.load_state_dict(state)
    told = json.dumps(again.state_dict().meta)
    assert "/home" not in told
    assert "TOKEN" not in told
    assert [one.name for one in again.inputs] == ["ab.png", "cd.png"]
    assert not any(one.sha256 for one in again.inputs)


def _blank(config: Any) -> Any:
    from gouache.engine.build import prepare_blank

    return prepare_blank(config, generator=TinyGenerator(), perceptor=TinyPerceptor())


@pytest.fixture
def edit(tmp_path: Path) -> Path:
    """A run folder of an edit, two steps done."""
    config = make_config(
        "pocket", prompt="a green apple", latent="quantized", steps=4, num_cutouts=3, size=(48, 32)
    )
    mask = Image.new("L", (192, 128))
    mask.paste(255, (0, 0, 96, 128))
    session = start(make_plan(SCENE, EditConfig(), mask=mask), config, sized=True)
    next(session)
    path = tmp_path / "edited"
    outputs = Outputs(path / "picture.png", path)
    with RunFolder.create(path, places.run_settings(session.config, outputs)) as folder:
        save_session(session, folder.state_path)
    return path


@pytest.mark.parametrize("known", ["source", "edits"])
def test_resume_refuses_an_edit_of_an_earlier_version_and_writes_nothing(gouache, edit, known):
    """Its state held no picture; the oldest told of an edit in the list of changes only."""
    tensors, meta = load_state(edit / "state.safetensors")
    del meta["edit"]
    if known == "edits":
        del meta["source"], meta["inputs"]
    save_state(edit / "state.safetensors", tensors, meta)
    before = contents(edit)
    result = gouache("resume", "edited")
    assert result.code == 2
    assert result.err.startswith("gouache: the saved run is an edit by an earlier version")
    assert result.err.count("\n") == 1
    assert contents(edit) == before
    no_paths(edit, str(SCENE.parent))


def test_resume_goes_on_with_an_edit(gouache, edit):
    assert gouache("resume", "edited", "-q").code == 0
    assert read_metadata(edit / "picture.png")["step"] == 4
    no_paths(edit, str(SCENE.parent))


def test_an_edits_state_is_for_that_edit_only(edit):
    """Nor for a painting: as one it would repaint what it was told to leave."""
    saved = SessionState(*load_state(edit / "state.safetensors"))
    config = PaintConfig.from_dict(saved.meta["config"])
    mask, other = Image.new("L", (192, 128)), Image.new("L", (192, 128))
    mask.paste(255, (0, 0, 96, 128))
    other.paste(255, (0, 0, 90, 128))
    changed = Image.open(SCENE).convert("RGB")
    changed.putpixel((0, 0), (1, 2, 3))
    start(make_plan(SCENE, EditConfig(), mask=mask), config, sized=True).load_state_dict(saved)
    for plan, told in (
        (make_plan(SCENE, EditConfig(), mask=other), "another mask"),
        (make_plan(changed, EditConfig(), mask=mask), "another source"),
        (make_plan(SCENE, EditConfig(strength=2.0), mask=mask), "another strength"),
        (make_plan(SCENE, EditConfig()), "another mask"),
    ):
        with pytest.raises(StateError, match=told):
            start(plan, config, sized=True).load_state_dict(saved)
    painting = Session.build(config.updated(start="random", start_tries=1))
    saved.meta["config"] = painting.state_dict().meta["config"]
    with pytest.raises(StateError, match="is an edit of a picture, and this is a painting"):
        painting.load_state_dict(saved)
    session = start(make_plan(SCENE, EditConfig()), painting.config, sized=True)
    with pytest.raises(StateError, match="is a painting"):
        session.load_state_dict(painting.state_dict())


def changed(**settings: Any) -> None:
    path = Path("run/settings.json")
    document = json.loads(path.read_text())
    for name, value in settings.items():
        document["config"][name] = value  # flat names are taken, too
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"steps": [300]}, "steps was [4] and is [300]"),
        ({"prompt": "a bird"}, "prompt was 'a fish' and is 'a bird'"),
        ({"optimization": {"learning_rate": 0.5}}, "learning_rate was"),
        ({"init_image": "b.png"}, "init_image was '' and is 'b.png'"),
        ({"nonsense": 1}, "no setting is called 'nonsense'"),
        ({"steps": "many"}, "steps is 'many'"),
    ],
)
def test_settings_changed_by_hand_are_noticed(gouache, killed, settings, told):
    killed("--out", "x.png", "--run-dir", "run")
    changed(**settings)
    before = contents(Path("run"))
    result = gouache("resume", "run")
    assert result.code == 2
    assert result.err.startswith("gouache: run/settings.json was changed: ")
    assert told in result.err
    assert result.err.count("\n") == 1
    assert contents(Path("run")) == before
    assert not Path("x.png").exists()


def test_another_device_may_be_asked_for(gouache, killed, monkeypatch):
    killed("--out", "x.png", "--run-dir", "run")
    changed(compile="off")
    seen = {}

    def spy(path, **changes):
        seen.update(changes)
        return resume_session(path, **changes)

    monkeypatch.setattr(runner, "resume_session", spy)
    assert gouache("resume", "run", "-q").code == 0
    assert seen == {"compile": "off"}


def test_damaged_settings_are_one_line(gouache, killed):
    killed("--out", "x.png", "--run-dir", "run")
    for text in ("", "[]", "{}", '{"config": 3}', "[" * 20_000):
        Path("run/settings.json").write_text(text)
        result = gouache("resume", "run")
        assert result.code == 2
        assert result.err.count("\n") == 1
