"""What the studio's folder keeps when its server ends, and what it does not tell."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.guard import COOKIE
from gouache.apps.studio.http import make_app
from gouache.apps.studio.runs import Run, without_paths
from gouache.apps.studio.uploads import lay_together
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError
from gouache.output.pictures import read_metadata
from studio_tiny import Gate, gated, order, reaches, strokes, until

TOKEN = "0123456789abcdef" * 2
SMALL = {
    "size": "64x64",
    "steps": 4,
    "num_cutouts": 3,
    "start_tries": 1,
    "perceptor": ["pocket"],
}


@pytest.fixture
def studio(tmp_path: Path, gate: Gate) -> Iterator[Studio]:
    with gated(tmp_path / "runs", gate) as studio:
        yield studio


def paused(studio: Studio, gate: Gate, prompt: str = "a red apple", **settings: Any) -> Run:
    gate.open.clear()
    run = studio.submit(order(prompt, **settings), "ada")
    reaches(run, "painting")
    studio.pause(run)
    gate.open.set()
    reaches(run, "paused")
    return run


def again(studio: Studio, tmp_path: Path, gate: Gate) -> Studio:
    """Another server on a copy of the folder, as after a power cut."""
    place = tmp_path / "copy"
    shutil.copytree(studio.root, place)
    return Studio(place, build=gate)


def blue(picture: Path, left: bool = True) -> float:
    """How far the left (or right) half is from the strokes' colour."""
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(float)
    half = pixels.shape[1] // 2
    return float(np.abs((pixels[:, :half] if left else pixels[:, half:]) - (16, 48, 224)).mean())


def test_what_waits_still_waits_after_a_restart(studio: Studio, gate: Gate, tmp_path: Path) -> None:
    first = studio.submit(order("first"), "ada")
    reaches(first, "painting")
    waiting = [studio.submit(order(f"wish {k}"), "ada") for k in range(3)]
    later_gate = Gate()
    later = again(studio, tmp_path, later_gate)
    found = [later.runs[run.id] for run in waiting]
    assert [run.owner for run in found] == ["ada"] * 3
    assert later.runs[first.id].status == "interrupted"
    later_gate.open.set()
    for run in found:
        reaches(run, "done")
    assert later_gate.begun == ["wish 0", "wish 1", "wish 2"]
    later.close()


def test_closing_keeps_what_waits_and_what_begins(tmp_path: Path, gate: Gate) -> None:
    studio = Studio(tmp_path / "runs", build=gate)
    first, second = (studio.submit(order(f"wish {k}"), "ada") for k in range(2))
    reaches(first, "painting")
    with studio._news:
        studio._closing = True
    gate.open.set()
    studio.close()
    assert (first.status, second.status) == ("interrupted", "queued")
    later = Studio(tmp_path / "runs", build=gate)
    reaches(later.runs[second.id], "done")
    later.close()


def test_a_start_that_ended_its_server_is_not_begun_again_by_itself(
    studio: Studio, gate: Gate, tmp_path: Path
) -> None:
    reaches(first := studio.submit(order("first"), "ada"), "painting")
    run = studio.submit(order("second"), "ada")
    run.status = "starting"
    run.save_about()
    later = again(studio, tmp_path, gate)
    found = later.runs[run.id]
    assert (found.status, found.error) == ("interrupted", "")
    later.go_on(found)
    gate.open.set()
    reaches(found, "done")
    reaches(first, "done")
    later.close()


def test_pictures_of_an_order_outlive_their_uploads(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio))
    long = client.post("/api/runs", json={"prompt": "a", "settings": {**SMALL, "steps": 2000}})
    reaches(blocking := studio.runs[long.json()["id"]], "painting")
    ids = []
    for color in ("red", "green"):
        file = io.BytesIO()
        Image.new("RGB", (32, 24), color).save(file, "PNG")
        ids.append(client.post("/api/images", content=file.getvalue()).json()["id"])
    body = {
        "prompt": "",
        "image": ids[0],
        "image_prompts": [{"image": ids[1], "weight": 0.5}],
        "settings": SMALL,
    }
    answer = client.post("/api/runs", json=body)
    assert answer.status_code == 201, answer.text
    shutil.rmtree(studio.root / "images")
    place = tmp_path / "moved"
    shutil.copytree(studio.root, place)
    studio.stop(blocking)
    reaches(studio.runs[answer.json()["id"]], "done")
    studio.close()
    later = Studio(place)
    reaches(later.runs[answer.json()["id"]], "done")
    later.close()


def test_words_changed_in_a_pause_are_everywhere(
    studio: Studio, gate: Gate, tmp_path: Path
) -> None:
    run = paused(studio, gate)
    gate.open.clear()
    reaches(blocking := studio.submit(order("blocks"), "bob"), "painting")
    studio.go_on(run, "a blue pear")
    waits = json.loads((run.path / "studio.json").read_bytes())
    assert (waits["status"], waits["words"]) == ("queued", "a blue pear")
    gate.open.set()
    reaches(run, "done")
    reaches(blocking, "done")
    record = read_metadata(run.picture_path)
    assert record["prompt"] == "a blue pear"
    assert record["losses"]
    assert Image.open(run.picture_path).info["Description"] == "a blue pear"
    assert run.public()["prompt"] == "a blue pear"
    until(lambda: not studio._at_work)
    settings = json.loads((run.path / "settings.json").read_bytes())
    assert settings["config"]["prompt"] == "a blue pear"
    later = again(studio, tmp_path, gate)
    assert later.runs[run.id].config.title == "a blue pear"
    later.close()


def test_words_of_one_stage_leave_the_others(studio: Studio, gate: Gate) -> None:
    run = paused(studio, gate, "a red apple ^ a plum | a fig:2", steps=[3, 3])
    studio.go_on(run, "a blue pear")
    reaches(run, "done")
    assert run.config.title == "a blue pear ^ a plum | a fig:2"
    assert read_metadata(run.picture_path)["prompt"] == run.config.title


def test_stop_lays_in_what_was_drawn(studio: Studio, gate: Gate) -> None:
    run = paused(studio, gate)
    studio.draw(run, strokes())
    studio.stop(run)
    reaches(run, "stopped")
    assert [node["kind"] for node in run.nodes] == ["start", "drawn", "end"]
    assert blue(run.path / "nodes" / "1.png") < 3
    assert blue(run.picture_path) < 1  # as it was drawn, not as the generator would have it
    assert list(run.path.glob("drawings/*")) == []


def test_drawings_are_kept_while_they_wait(studio: Studio, gate: Gate, tmp_path: Path) -> None:
    run = paused(studio, gate)
    studio.draw(run, strokes((0, 255, 0)))
    studio.draw(run, strokes())
    later = again(studio, tmp_path, gate)
    assert later.runs[run.id].status == "interrupted"
    assert len(later.runs[run.id].drawings) == 2
    later.close()
    for _ in range(14):
        studio.draw(run, strokes())
    with pytest.raises(ConfigError, match="drawings wait already"):
        studio.draw(run, strokes())
    assert len(list(run.path.glob("drawings/*"))) == 16


def test_a_paused_run_stops_while_another_is_painted(studio: Studio, gate: Gate) -> None:
    run = paused(studio, gate)
    other = studio.submit(order("long", steps=[2000]), "bob")
    reaches(other, "painting")
    studio.stop(run)
    reaches(run, "stopped")
    assert other.status == "painting"
    assert run.picture_path.exists()
    studio.stop(other)
    reaches(other, "stopped")


def test_no_token_and_no_path_is_told_or_kept(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio), cookies={COOKIE: TOKEN})
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    image = client.post("/api/images", content=file.getvalue()).json()["id"]
    answer = client.post("/api/runs", json={"prompt": "a", "image": image, "settings": SMALL})
    run = studio.runs[answer.json()["id"]]
    reaches(run, "done")
    told = [answer.text, client.get("/api/runs").text, client.get(f"/api/runs/{run.id}").text]
    told += [client.get(f"/api/runs/{run.id}/{name}").text for name in ("events", "settings.json")]
    told.append(client.get(f"/api/images/{'f' * 32}").text)
    for text in told:
        assert TOKEN not in text
        assert str(tmp_path) not in text
    studio.close()
    for path in studio.root.rglob("*"):
        assert TOKEN not in str(path)
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
    for name in ("studio.json", "order.json"):
        if (run.path / name).exists():
            assert str(tmp_path).encode() not in (run.path / name).read_bytes()


def test_galleries_of_earlier_versions_are_found(studio: Studio, gate: Gate) -> None:
    gate.open.set()
    run = studio.submit(order(), "ada")
    reaches(run, "done")
    studio.close()  # all of it is written
    about = json.loads((run.path / "studio.json").read_bytes())
    old = {key: value for key, value in about.items() if key not in ("prompt", "words")}
    (run.path / "studio.json").write_text(json.dumps({**old, "owner": TOKEN}))
    image = studio.root / "images" / TOKEN / f"{'a' * 32}.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(image)
    later = Studio(studio.root, build=gate)
    client = TestClient(make_app(later), cookies={COOKIE: TOKEN})
    assert [one["id"] for one in client.get("/api/runs").json()["runs"]] == [run.id]
    assert client.get(f"/api/images/{'a' * 32}").status_code == 200
    assert not image.exists()
    later.close()


@pytest.mark.parametrize(
    "message",
    [
        "cannot write {root}/runs/1/picture.png: no space",
        "there is no file '/home/ada/.cache/gouache/x.pt'; check it",
        "(/opt/lib/python3/site.py) failed",
        r"cannot read C:\Users\ada\x.png",
    ],
)
def test_messages_name_files_without_their_place(message: str, tmp_path: Path) -> None:
    told = without_paths(message.format(root=tmp_path), tmp_path)
    for secret in (str(tmp_path), "/home", "ada", "/opt", "Users"):
        assert secret not in told
    plain = "give 3/4 or a|b, see https://a.b/c/d; and/or x:/y"
    assert without_paths(plain, tmp_path) == plain


def test_drawings_that_wait_become_one_and_stay_in_order(studio: Studio, gate: Gate) -> None:
    run = paused(studio, gate)
    for color in ((0, 255, 0), (16, 48, 224)):
        studio.draw(run, strokes(color))
    studio.join_drawings(run, lay_together)
    assert len(run.drawings) == 1
    assert list(run.path.glob("drawings/*")) == run.drawings
    studio.draw(run, strokes((16, 48, 224)))
    assert sorted(run.path.glob("drawings/*")) == run.drawings
    studio.stop(run)
    reaches(run, "stopped")
    assert blue(run.picture_path) < 1
