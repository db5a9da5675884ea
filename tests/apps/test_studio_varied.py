"""From pictures there are: varied, crossed, painted near them; told in the run and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Order, near_settings
from gouache.apps.studio.runs import load_runs
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.ops.images import to_pil
from gouache.output.pictures import read_metadata
from gouache.runs.replaying import Named, replay_settings
from studio_client import SMALL, submit, upload, wait
from tiny import TinyGenerator, TinyPerceptor, tiny_config


def build(order: Order) -> Session:
    """Like the studio's own, with tiny models."""
    return painted(
        prompt=order.config.title,
        seed=order.config.seed,
        init_image=str(order.image or ""),
        cross_image=str(order.other or ""),
        init_disturb=order.config.latents.init_disturb,
        latent_rule=order.config.latents.latent_rule,
        latent_weight=order.config.latents.latent_weight,
        latent_drop=order.config.latents.latent_drop,
    )


def painted(**settings: Any) -> Session:
    config = tiny_config(**settings)
    return Session.build(config, generator=TinyGenerator(), perceptor=TinyPerceptor())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(make_app(Studio(tmp_path, build=build), local=True)) as client:
        yield client


def pictured(client: TestClient, prompt: str = "a red apple", **more: Any) -> str:
    run = submit(client, prompt, **more)
    wait(client, run, "done")
    return run


def order(client: TestClient, **asked: Any) -> Any:
    return client.post("/api/runs", json=asked)


def pixels(picture: Any) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(picture) if isinstance(picture, Path) else picture)


def replayed(path: Path) -> Image.Image:
    """Painted again from what its file holds."""
    found = replay_settings(read_metadata(path), path, Named())
    session = Session.build(found.config, generator=TinyGenerator(), perceptor=TinyPerceptor())
    list(session)
    return to_pil(session.picture()[0])


def test_four_variations_of_a_picture(client: TestClient, tmp_path: Path) -> None:
    first = pictured(client, settings={"seed": 3})
    of = f"{first}/1"
    told = order(client, vary={"of": of, "strength": 0.6}, count=2).json()
    assert [run["seed"] for run in told["runs"]] == [3, 4]
    for run in told["runs"]:
        assert (run["how"], run["parents"], run["parent"]) == ("vary", [of], of)
        assert run["prompt"] == "a red apple"
        wait(client, run["id"], "done")
    folders = [tmp_path / "runs" / run["id"] for run in told["runs"]]
    pictures = [folder / "picture.png" for folder in folders]
    assert (pixels(pictures[0]) != pixels(pictures[1])).any()
    assert (pixels(pictures[0]) == pixels(replayed(pictures[0]))).all()
    assert (pixels(pictures[1]) == pixels(replayed(pictures[1]))).all()
    lineage = read_metadata(pictures[0])["lineage"]
    assert (lineage["how"], lineage["strength"]) == ("vary", 0.6)
    kept = {run.id: run for run in load_runs(tmp_path)}[told["id"]]
    assert (kept.how, kept.parents) == ("vary", (of,))


def test_two_pictures_crossed(client: TestClient, tmp_path: Path) -> None:
    one, two = pictured(client), pictured(client, "a blue pear", settings={"seed": 1})
    of = [f"{one}/1", f"{two}/1"]
    told = order(client, evolve={"of": of}, prompt="a plum", settings=SMALL)
    assert told.status_code == 201, told.text
    run = wait(client, told.json()["id"], "done")
    assert (run["how"], run["parents"], run["prompt"]) == ("evolve", of, "a plum")
    path = tmp_path / "runs" / run["id"] / "picture.png"
    assert (pixels(path) == pixels(replayed(path))).all()
    nodes = [tmp_path / "runs" / name / "nodes" / "1.png" for name in (one, two)]
    session = painted(prompt="a plum", init_image=str(nodes[0]), cross_image=str(nodes[1]))
    list(session)
    assert (pixels(path) == pixels(to_pil(session.picture()[0]))).all()


def test_how_runs_came_about(client: TestClient) -> None:
    first = pictured(client)
    assert (client.get(f"/api/runs/{first}").json()["how"], first) == ("", first)
    branch = pictured(client, image=f"{first}/1", parent=f"{first}/1")
    told = client.get(f"/api/runs/{branch}").json()
    assert (told["how"], told["parents"]) == ("branch", [f"{first}/1"])


WRONG = [
    {"vary": {"of": "RUN/1", "strength": 1.5}},
    {"vary": {"of": "RUN/1", "strength": True}},
    {"vary": {"of": "RUN/1", "strength": "0.5"}},
    {"vary": {"of": "RUN"}},
    {"vary": {"of": "RUN/77"}},
    {"vary": {}},
    {"vary": []},
    {"vary": {"of": "RUN/1", "more": 1}},
    {"vary": {"of": "RUN/1"}, "image": "RUN/1"},
    {"vary": {"of": "RUN/1"}, "evolve": {"of": ["RUN/1", "RUN/0"]}},
    {"evolve": {"of": ["RUN/1"]}},
    {"evolve": {"of": "RUN/1"}},
    {"evolve": {"of": ["RUN/1", "RUN/1", "RUN/1"]}},
    {"evolve": {"of": ["RUN/1", None]}},
    {"evolve": {"of": [{}, "RUN/1"]}},
    {"near": 0.5},
    {"near": 2, "image": "RUN/1"},
    {"near": None, "image": "RUN/1"},
    {"near": 0.5, "image": "RUN/1", "edit": {}},
    {"settings": {"init_disturb": 0.5}},
    {"settings": {"cross_image": "/etc/passwd"}},
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str]]:
    studio = Studio(tmp_path_factory.mktemp("runs"), build=build)
    with TestClient(make_app(studio, local=True)) as client:
        yield client, pictured(client)


def _named(value: Any, run: str) -> Any:
    if isinstance(value, str):
        return value.replace("RUN", run)
    if isinstance(value, list):
        return [_named(one, run) for one in value]
    return {k: _named(v, run) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("asked", WRONG)
def test_what_cannot_be_is_one_line(shared: tuple[TestClient, str], asked: dict[str, Any]) -> None:
    client, run = shared
    for words in ({"prompt": "a plum"}, {}):
        answer = client.post("/api/runs", json={**words, **_named(asked, run)})
        assert answer.status_code == 400, answer.text
        assert "\n" not in answer.json()["error"]
        assert len(client.get("/api/runs").json()["runs"]) == 1


def test_near_is_plain_settings_and_stays_near(client: TestClient, tmp_path: Path) -> None:
    image = upload(client)
    apart = []
    for near in (0, 0.5, 1):
        asked = {"settings": {"latent_weight": 0.2} if near else {}, "near": near}
        run = pictured(client, "a green wood", image=image, **asked)
        settings = client.get(f"/api/runs/{run}").json()["settings"]
        for name, value in near_settings(near).items() if near else ():
            assert settings[name] == value
        picture = pixels(tmp_path / "runs" / run / "picture.png").astype(float)
        apart.append(float(np.abs(picture - (255, 0, 0)).mean()))
    assert apart == sorted(apart, reverse=True)
    assert apart[2] < apart[0]


def test_half_near_holds_places_and_all_of_it_shapes() -> None:
    free, half, most = (near_settings(near)["latent_weight"] for near in (0.0, 0.5, 1.0))
    assert free == 0
    assert 10 < half < 16
    assert 100 < most < 300
