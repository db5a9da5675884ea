"""Films in the studio: ordered, painted in the queue of all, gone on with exactly, served."""

from __future__ import annotations

import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gouache.apps.studio.film_orders import read_any_order
from gouache.apps.studio.filming import FilmPainter
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.runs import Run
from gouache.apps.studio.worker import Studio
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig
from gouache.output.state import load_state
from gouache.output.video import read_any_metadata
from gouache.settings.config import make_config
from studio_client import file_of, submit, tiny_build, tiny_reopened, upload, wait
from studio_tiny import reaches, strokes, until

FILM = {"frames": 7, "steps_per_frame": 2, "zoom": "1.03", "fps": 8}


@pytest.fixture(autouse=True)
def tiny_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films go on with the tiny models, too."""

    monkeypatch.setattr(FilmPainter, "_reopened", tiny_reopened)


class Halts:
    """A build whose films wait before a step until `open` is set."""

    def __init__(self, step: int) -> None:
        self.step, self.open, self.waits = step, threading.Event(), threading.Event()

    def __call__(self, asked: Order) -> Any:
        film = tiny_build(asked)
        following = type(film).__next__
        halts = self

        class Patient(type(film)):  # type: ignore[misc]
            def __next__(self) -> Any:
                if self.step_index == halts.step and not halts.open.is_set():
                    halts.waits.set()
                    halts.open.wait(60)
                return following(self)

        film.__class__ = Patient
        return film


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    studio = Studio(tmp_path / "runs", build=tiny_build)
    yield TestClient(make_app(studio))
    studio.close()


def order(**film: Any) -> Order:
    config = make_config("auto", prompt="a fish", size="32x24", steps=4, num_cutouts=4, scale=1)
    return Order(config, film=FilmConfig().updated(**{**FILM, **film}))


def files(run: Run) -> dict[str, bytes]:
    found = [run.path / "losses.csv", *run.path.glob("frames/*")]
    return {path.name: path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a film that nothing came in the way of."""
    studio = Studio(tmp_path_factory.mktemp("whole"), build=tiny_build)
    run = studio.submit(order(), "ada")
    reaches(run, "done")
    studio.close()
    assert len(files(run)) == 8
    return files(run)


def test_a_film_is_painted_and_served(client: TestClient, tmp_path: Path) -> None:
    table = {one["name"]: one for one in client.get("/api/info").json()["film"]}
    assert table["zoom"]["default"] == "1"
    assert "scenes" not in table
    run = submit(client, "a fish", film=FILM)
    told = wait(client, run, "done")
    assert (told["kind"], told["step"], told["num_steps"]) == ("film", 18, 18)
    assert {**told["film"], "settings": 0} == {"frames": 7, "painted": 7, "fps": 8, "settings": 0}
    assert told["film"]["settings"]["zoom"] == "1.03"
    assert [node["kind"] for node in told["nodes"]] == ["start", "end"]
    frames = [client.get(f"/api/runs/{run}/frames/{k}.png") for k in range(7)]
    assert len({one.content for one in frames}) == 7
    assert "immutable" in frames[0].headers["cache-control"]
    assert frames[6].content == client.get(f"/api/runs/{run}/picture.png").content
    assert client.get(f"/api/runs/{run}/frames/7.png").status_code == 404
    assert TestClient(client.app).get(f"/api/runs/{run}/frames/0.png").status_code == 404
    assert client.get(f"/api/runs/{run}/thumb").status_code == 200
    for kind in ("mp4", "gif", "webm"):
        place = tmp_path / f"x.{kind}"
        place.write_bytes(client.get(f"/api/runs/{run}/timelapse.{kind}").content)
        assert read_any_metadata(place)["film"]["zoom"] == "1.03"
    settings = client.get(f"/api/runs/{run}/settings.json").json()
    assert (settings["frames"], settings["zoom"], settings["prompt"]) == (7, "1.03", "a fish")
    assert "seconds" not in settings
    # A picture is no film.
    picture = submit(client)
    assert wait(client, picture, "done")["film"] is None
    assert client.get(f"/api/runs/{picture}/frames/0.png").status_code == 404


def test_all_of_a_film_is_in_a_zip_file(client: TestClient) -> None:
    run = submit(client, "a fish", film=FILM)
    wait(client, run, "done")
    answer = client.get(f"/api/zip?runs={run},{run}/1")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        frames = [f"a-fish-frames/{k:05}.png" for k in range(7)]
        points = ["a-fish-point-1.png", "a-fish-point-1.json"]
        assert archive.namelist() == ["a-fish.mp4", "a-fish.json", *frames, *points]
        for name, url in ((frames[3], "frames/3.png"), ("a-fish.mp4", "timelapse.mp4")):
            assert archive.read(name) == client.get(f"/api/runs/{run}/{url}").content
        settings = json.loads(archive.read("a-fish.json"))
        assert settings == client.get(f"/api/runs/{run}/settings.json").json()
        assert settings["zoom"] == "1.03"


def test_a_scale_is_told_to_be_left_out(client: TestClient) -> None:
    run = submit(client, "a fish", film={"frames": 1, "steps_per_frame": 1}, settings={"scale": 2})
    told = wait(client, run, "done")
    (note,) = told["notes"]
    assert note["text"] == "scale 2 left out: a film is as large as size says"
    assert told["scale"] == 1


def test_frames_have_defaults_of_their_own() -> None:
    for given in ({}, {"layout": "auto", "scale": 4}):
        body = {"prompt": "a fish", "film": {}, "settings": given}
        config = read_any_order(body, Limits(), Path, {}).config
        assert (config.guidance.layout, config.scale) == (
            given.get("layout", "off"),
            given.get("scale", 1),
        )


def test_a_film_moves_a_picture_or_goes_between_two(client: TestClient) -> None:
    ids = [submit(client, name) for name in ("one", "two")]
    first, second = (f"{one}/1" for one in ids if wait(client, one, "done"))
    moved = wait(client, submit(client, "a fish", image=first, film=FILM), "done")
    assert (moved["how"], moved["parents"], moved["parent"]) == ("film", [first], first)
    morph = wait(client, submit(client, "", morph=[first, second], film={"frames": 5}), "done")
    assert morph["parents"] == [first, second]
    assert (morph["film"]["settings"]["morph"], morph["film"]["painted"]) == (True, 5)
    own = [upload(client, file_of(picture_of(k))) for k in range(2)]
    assert wait(client, submit(client, "", morph=own, film={"frames": 2}), "done")["parents"] == []


def picture_of(k: int) -> Any:
    from PIL import Image

    return Image.new("RGB", (32, 24), (40, 90 * k, 200))


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_film_goes_on_to_the_same_bytes(tmp_path: Path, whole: dict[str, Any], step: int) -> None:
    """Paused and continued; stopped and continued; the server killed, at that step."""
    halts = Halts(step)
    studio = Studio(tmp_path / "runs", build=halts)
    run = studio.submit(order(), "ada")
    halts.waits.wait(60)
    painted = {1: 0, 4: 1, 9: 3}[step]
    until(lambda: load_state(run.path / "state.safetensors")[1]["frame"] == painted)
    shutil.copytree(studio.root, tmp_path / "copy")  # as a power cut leaves it
    studio.pause(run)
    halts.open.set()
    reaches(run, "paused")
    studio.go_on(run)
    reaches(run, "done")
    assert files(run) == whole
    studio.close()

    later = Studio(tmp_path / "copy", build=tiny_build)
    found = later.runs[run.id]
    assert (found.status, found.film, found.kind) == ("interrupted", run.film, "film")
    assert found.painted == painted
    later.go_on(found)
    reaches(found, "done")
    assert files(found) == whole
    later.close()


def test_a_stopped_film_is_kept_and_may_go_on(tmp_path: Path, whole: dict[str, Any]) -> None:
    halts = Halts(9)
    studio = Studio(tmp_path / "runs", build=halts)
    run = studio.submit(order(), "ada")
    halts.waits.wait(60)
    studio.stop(run)
    halts.open.set()
    reaches(run, "stopped")
    assert (run.painted, run.picture_path.exists()) == (3, True)
    studio.go_on(run)
    reaches(run, "done")
    assert files(run) == whole
    studio.close()


def test_stopped_in_its_first_frame_there_is_a_picture(tmp_path: Path) -> None:
    halts = Halts(2)
    studio = Studio(tmp_path / "runs", build=halts)
    run = studio.submit(order(), "ada")
    halts.waits.wait(60)
    studio.stop(run)
    halts.open.set()
    reaches(run, "stopped")
    assert (run.painted, run.picture_path.exists()) == (0, True)
    studio.close()


def test_what_waits_is_a_film_after_a_restart(tmp_path: Path, whole: dict[str, Any]) -> None:
    halts = Halts(1)
    studio = Studio(tmp_path / "runs", build=halts)
    studio.submit(order(zoom="1"), "ada")
    halts.waits.wait(60)
    waiting = studio.submit(order(), "ada")
    shutil.copytree(studio.root, tmp_path / "copy")
    later = Studio(tmp_path / "copy", build=tiny_build)
    reaches(later.runs[waiting.id], "done")
    assert files(later.runs[waiting.id]) == whole
    later.close()
    halts.open.set()
    studio.close()


def test_nobody_draws_on_a_film_or_changes_its_words(tmp_path: Path) -> None:
    halts = Halts(3)
    studio = Studio(tmp_path / "runs", build=halts)
    run = studio.submit(order(), "ada")
    halts.waits.wait(60)
    with pytest.raises(ConfigError, match="nobody draws on a film"):
        studio.draw(run, strokes())
    studio.pause(run)
    halts.open.set()
    reaches(run, "paused")
    with pytest.raises(ConfigError, match="words of a film"):
        studio.go_on(run, "a bird")
    assert run.status == "paused"
    studio.close()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"film": []}, "film"),
        ({"film": {"zom": "1"}}, "zom"),
        ({"film": {"depth": "x"}}, "depth"),
        ({"film": {"scenes": []}}, "scenes"),
        ({"film": {"zoom": "__import__('os')"}}, "zoom"),
        ({"film": {"zoom": "1/t"}}, "zoom"),
        ({"film": {"zoom": "1+beat"}}, "sound"),
        ({"film": {"frames": 1201}}, "frames"),
        ({"film": {"frames": 1000, "steps_per_frame": 100}}, "steps"),
        ({"film": {"border": "mirrors"}}, "border"),
        ({"film": {}, "count": 2}, "count"),
        ({"film": {}, "settings": {"steps": [3, 4]}}, "steps_per_frame"),
        ({"film": {}, "vary": {"of": "x"}}, "vary"),
        ({"film": {}, "edit": {}}, "edit"),
        ({"film": {}, "morph": ["a"]}, "morph"),
        ({"film": {}, "morph": "ab"}, "morph"),
        ({"film": {}, "morph": ["../x", "../y"]}, "image"),
        ({"film": {}, "morph": [1, 2]}, "image"),
        ({"film": {}, "prompt": ""}, "prompt"),
    ],
)
def test_mistakes_are_one_line(client: TestClient, body: dict[str, Any], told: str) -> None:
    answer = client.post("/api/runs", json={"prompt": "a fish", **body})
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert client.get("/api/runs").json()["runs"] == []


def test_a_morph_follows_no_camera(client: TestClient) -> None:
    own = [upload(client), upload(client)]
    body = {"prompt": "", "morph": own, "film": {"zoom": "1.1"}}
    assert "camera" in client.post("/api/runs", json=body).json()["error"]
