"""From the first second: what is done, sketches of the start as a choice, frames as events."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient
from torch import Tensor

from gouache.apps.studio.frames import Frame
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Order
from gouache.apps.studio.runs import Run, load_runs
from gouache.apps.studio.starting import Starting
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.output.pictures import read_metadata
from gouache.protocols import Step
from studio_client import submit, wait
from studio_tiny import order, until
from tiny import TinyGenerator, TinyPerceptor, tiny_config

TRIES: dict[str, Any] = {"start_tries": 3, "start_steps": 12, "start_scale": 1.0}


class Patient(TinyPerceptor):
    """Waits at its `number`-th look at a picture."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.looks, self.number = 0, number
        self.open = threading.Event()

    def embed_image(self, image: Tensor) -> Tensor:
        self.looks += 1
        if self.looks == self.number:
            self.open.wait(60)
        return super().embed_image(image)


class Building:
    def __init__(self) -> None:
        self.perceptor = Patient(4)

    def __call__(self, order: Order, **changes: Any) -> Session:
        asked = {"seed": order.config.seed, **TRIES, **changes}
        config = tiny_config(prompt=order.config.title, **asked)
        return Session.build(config, generator=TinyGenerator(), perceptor=self.perceptor)


@pytest.fixture
def building() -> Building:
    return Building()


@pytest.fixture
def client(tmp_path: Path, building: Building) -> Iterator[TestClient]:
    with TestClient(make_app(Studio(tmp_path, build=building), local=True)) as client:
        yield client
        building.perceptor.open.set()


def sketching(client: TestClient, building: Building) -> dict[str, Any]:
    """A run that waits while its sketches are painted."""
    run = submit(client)
    until(lambda: building.perceptor.looks >= building.perceptor.number)
    return dict(client.get(f"/api/runs/{run}").json())


def test_sketches_are_there_while_a_start_is_found(client: TestClient, building: Building) -> None:
    told = sketching(client, building)
    assert told["status"] == "starting"
    what, _, step = told["doing"].partition(", ")
    assert what == "3 beginnings of one picture"
    assert re.fullmatch(r"(step \d+ of \d+)?", step)  # of the sketches, not of the picture
    assert [one["number"] for one in told["sketches"]] == [1, 2, 3]
    for one in told["sketches"]:
        answer = client.get(one["url"])
        assert answer.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(answer.content)).size == (32, 24)
    for path in (told["sketches"][0]["url"][:-1] + "4", "/api/runs/none/sketches/1"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("number", [1, 3])
def test_a_chosen_sketch_is_gone_on_from_at_once_and_recorded(
    client: TestClient, building: Building, tmp_path: Path, number: int
) -> None:
    run = sketching(client, building)["id"]
    told = client.post(f"/api/runs/{run}/sketch", json={"number": number})
    assert told.status_code == 200, told.text
    building.perceptor.open.set()
    told = wait(client, run, "done")
    assert (told["doing"], told["sketches"]) == ("", [])
    settings = client.get(f"/api/runs/{run}").json()["settings"]
    assert settings["start_choice"] == number
    assert 1 <= settings["start_steps"] < 12
    (kept,) = load_runs(tmp_path)
    assert kept.config.latents.start_choice == number
    path = tmp_path / "runs" / run / "picture.png"
    record = read_metadata(path)
    assert record is not None
    assert record["config"]["latents"]["start_choice"] == number
    order = Order(tiny_config())
    chosen = {name: settings[name] for name in ("start_choice", "start_steps")}
    again = building(order, **chosen)
    assert not torch.equal(again.latent(), building(order, start_choice=2).latent())
    list(again)
    picture = again.picture()[0].mul(255).round().byte()
    kept_pixels = torch.frombuffer(bytearray(Image.open(path).tobytes()), dtype=torch.uint8)
    assert torch.equal(picture.permute(1, 2, 0).flatten(), kept_pixels)


@pytest.mark.parametrize("sent", [{"number": 9}, {"number": -1}, {"number": True}, {}, [1], None])
def test_what_is_no_sketch_is_refused(client: TestClient, building: Building, sent: Any) -> None:
    run = sketching(client, building)["id"]
    answer = client.post(f"/api/runs/{run}/sketch", json=sent)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_there_is_nothing_to_choose_when_it_is_painting(
    client: TestClient, building: Building
) -> None:
    building.perceptor.open.set()
    run = submit(client)
    wait(client, run, "done")
    answer = client.post(f"/api/runs/{run}/sketch", json={"number": 0})
    assert answer.status_code == 400
    assert "done" in answer.json()["error"]


def test_frames_come_with_the_events(client: TestClient, building: Building) -> None:
    building.perceptor.open.set()
    run = submit(client)
    wait(client, run, "done")
    text = client.get(f"/api/runs/{run}/events").text
    events = [one.split("\n") for one in text.strip().split("\n\n")]
    (frame,) = [lines[1] for lines in events if lines[0] == "event: frame"]
    told = json.loads(frame.removeprefix("data: "))
    assert told["step"] == 6
    kind, _, data = told["image"].partition(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (32, 24)
    assert json.loads(events[-1][0].removeprefix("data: "))["status"] == "done"


def test_frames_of_large_pictures_are_small() -> None:
    frame = Frame(Image.new("RGBA", (2000, 1000), (10, 200, 30, 255)))
    assert Image.open(io.BytesIO(frame.webp)).size == (512, 256)
    assert Image.open(io.BytesIO(frame.jpeg)).size == (2000, 1000)
    assert frame.webp is frame.webp


def test_one_stream_tells_of_several_runs(client: TestClient, building: Building) -> None:
    building.perceptor.open.set()
    first, second = submit(client), submit(client, "a blue fish")
    for run in (first, second):
        wait(client, run, "done")
    text = client.get(f"/api/events?runs={first},{'0' * 32},{second}").text
    events = [one.split("\n") for one in text.strip().split("\n\n")]
    told = [json.loads(lines[-1].removeprefix("data: ")) for lines in events]
    states = [one for one in told if "status" in one]
    assert [(one["id"], one["status"]) for one in states] == [(first, "done"), (second, "done")]
    assert {one["run"] for one in told if "image" in one} == {first, second}
    for runs in ("", "0" * 32, ",".join(f"{k:032x}" for k in range(17))):
        answer = client.get(f"/api/events?runs={runs}")
        assert answer.status_code in (400, 404)
        assert "\n" not in answer.json()["error"]


def test_the_time_left_counts_sketches_and_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three tries, two at a time, of ten steps: half a second a step. Then six steps of a picture
    of 32x24 pixels; two tries have 128."""
    run = Run.new(tmp_path, "", order(steps=(6,), size=(32, 24)))
    after = 6 * 0.5 * 32 * 24 / 128
    starting = Starting(run)
    now = [100.0]
    monkeypatch.setattr("gouache.apps.studio.starting.time.monotonic", lambda: now[0])
    picture = torch.zeros(1, 3, 8, 8)

    def shown(index: int, at: float) -> float | None:
        now[0] = 100.0 + at
        starting(Step(index, 10, 0, picture, {}))
        return run.seconds_left

    starting.doing("looking for a start")
    starting.sketched(torch.cat([picture, picture]), 1, 3, 0)
    assert shown(0, 0.0) is None
    assert shown(4, 2.0) == pytest.approx(7.5 + after)  # 5 steps of these, 10 of the third
    starting.sketched(picture, 3, 3, 0)
    shown(0, 5.0)
    assert shown(5, 7.5) == pytest.approx(2.0 + 2 * after)  # one alone has half the pixels
    starting.doing("something else")
    assert run.seconds_left is None
