"""A picture or settings dropped onto the page: what is read of them, and what is told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.worker import Studio
from gouache.output.pictures import save_picture
from gouache.settings.config import PaintConfig, make_config
from studio_client import file_of, submit, tiny_build, wait


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    studio = Studio(tmp_path_factory.mktemp("s"), Limits(pixels=512 * 512), tiny_build)
    yield TestClient(make_app(studio, local=True), raise_server_exceptions=False)
    studio.close()


def read(client: TestClient, data: bytes) -> dict[str, Any]:
    answer = client.post("/api/read", content=data)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"prompt", "settings", "size", "lineage", "notes"}
    assert not any("\n" in note for note in found["notes"])
    return found


def carrying(tmp_path: Path, kind: str = "png", **record: Any) -> bytes:
    """A picture file with this document in it."""
    path = tmp_path / f"x.{kind}"
    save_picture(Image.new("RGB", (8, 8)), path, record)
    return path.read_bytes()


def test_a_picture_of_the_studio_gives_the_words_and_settings_of_its_order(
    client: TestClient,
) -> None:
    asked = {"seed": 7, "steps": [3]}
    run = submit(client, "a red apple:2 | fog:-0.5", settings=asked)
    wait(client, run, "done")
    found = read(client, client.get(f"/api/runs/{run}/picture.png").content)
    assert found["prompt"] == "a red apple:2 | fog:-0.5"
    assert {name: found["settings"][name] for name in asked} == asked
    assert found["size"] == found["settings"]["size"] == [32, 24]
    assert found["lineage"] == {"run": run, "how": "", "parents": [], "inputs": [], "edits": []}
    branch = submit(client, parent=f"{run}/1")
    wait(client, branch, "done")
    for path in ("picture.png", "nodes/0/export"):
        told = read(client, client.get(f"/api/runs/{branch}/{path}").content)["lineage"]
        assert (told["run"], told["how"], told["parents"]) == (branch, "branch", [f"{run}/1"])
    again = client.post("/api/runs", json={"prompt": "x", "settings": found["settings"]})
    assert again.status_code == 201, again.text
    settings = client.get(f"/api/runs/{run}/settings.json").content
    same = read(client, settings)
    assert (same["prompt"], same["notes"]) == ("a red apple:2 | fog:-0.5", [])
    assert same["settings"]["seed"] == 7


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_every_format_that_gouache_writes(client: TestClient, tmp_path: Path, kind: str) -> None:
    config = make_config(prompt="a boat", size="64x48", steps=9)
    found = read(client, carrying(tmp_path, kind, config=config.to_dict(), prompt="a boat"))
    assert (found["prompt"], found["size"], found["notes"]) == ("a boat", [64, 48], [])
    assert found["settings"]["steps"] == [9]


def test_one_picture_of_a_batch_is_itself(client: TestClient, tmp_path: Path) -> None:
    config = make_config(prompt=("a boat", "a cart"), count=4, seed=10)
    found = read(client, carrying(tmp_path, config=config.to_dict(), prompt="a cart", picture=3))
    assert (found["prompt"], found["settings"]["seed"]) == ("a cart", 13)
    assert "one of 4" in found["notes"][0]
    assert "count" not in found["settings"]


def test_what_is_unknown_or_ignored_is_told_once_each(client: TestClient, tmp_path: Path) -> None:
    config = make_config(prompt="a boat", size="1024x1024", device="cpu").to_dict()
    config["cutouts"]["shimmer"] = 3
    config["guidance"]["tv_weight"] = "heavy"
    config["perceptor"] = ["elsewhere"]
    sums = "a" * 64
    record = {
        "version": "99.0.0",
        "config": config,
        "inputs": [{"setting": "init_image", "name": "dog.jpg", "sha256": sums}],
        "edits": [{"step": 3, "edit": "image", "cells": 4}],
    }
    found = read(client, carrying(tmp_path, **record))
    told = ["99.0.0", "shimmer", "tv_weight", "elsewhere", "dog.jpg", "by hand", "device", "1024"]
    for word in told:
        assert sum(word in note for note in found["notes"]) == 1, (word, found["notes"])
    assert len(found["notes"]) == len(told)
    plain = PaintConfig()
    assert found["settings"]["perceptor"] == list(plain.perceptor)
    assert found["lineage"]["inputs"] == [
        {"setting": "init_image", "name": "dog.jpg", "sha256": sums}
    ]
    assert found["lineage"]["edits"] == [{"edit": "image", "step": 3}]


def test_of_a_picture_by_another_system_words_and_seed_are_taken(
    client: TestClient, tmp_path: Path
) -> None:
    record = {"version": "0.1.0", "format": 1, "system": "glide", "settings": {"scale": 3.0}}
    more = {"prompt": "a cup | red", "seed": 9, "picture": 2, "options": {"sampler": "ddim"}}
    found = read(client, carrying(tmp_path, **record, **more))
    assert (found["prompt"], found["settings"]["seed"]) == (r"a cup \| red", 9)
    told = "glide painted it, which this studio has not; its words and seed are taken"
    assert found["notes"] == [told]


def test_a_few_settings_by_hand(client: TestClient) -> None:
    found = read(client, b'\xef\xbb\xbf {"prompt": "a boat", "steps": 5, "colour": "red"}')
    assert (found["prompt"], found["settings"]["steps"]) == ("a boat", [5])
    assert found["notes"] == ["'colour' is no setting of this gouache; ignored"]


def pictures() -> list[tuple[bytes, str]]:
    plain = file_of(Image.new("RGB", (8, 8)))
    return [
        (plain, "holds no gouache settings"),
        (file_of(Image.new("RGB", (8, 8)), "JPEG"), "holds no gouache settings"),
        (file_of(Image.new("RGB", (8, 8)), "BMP"), "holds no gouache settings"),
        (plain[:40], "the upload"),
        (b"", "the upload"),
        (b"%PDF-1.7", "the upload"),
        (b"{", "not JSON"),
        (b"{}", "no settings"),
        (b'{"colour": 1}', "no settings"),
        (b'{"config": 3}', "config is 3"),
        (b'{"config": {"steps": -1}}', "no settings"),
        (b'{"inputs": [3], "config": {"steps": 3}}', "inputs is"),
        (b'{"picture": -1, "config": {}}', "picture is -1"),
        (b'{"format": 99, "version": "99.0", "config": {}}', "install that version"),
        (b'{"a":' * 100_000, "not JSON"),
        (b'{"\xff": 1}', "not JSON"),
    ]


@pytest.mark.parametrize(("data", "line"), pictures())
def test_everything_else_is_one_line(client: TestClient, data: bytes, line: str) -> None:
    answer = client.post("/api/read", content=data)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert line in error
    assert "\n" not in error
    assert "/" not in error.replace("WebP/", "")


def test_nothing_that_was_read_is_kept(client: TestClient, tmp_path: Path) -> None:
    root = Path(client.app.state.root)  # type: ignore[attr-defined]
    client.post("/api/read", content=carrying(tmp_path, config={"steps": 3}))
    client.post("/api/read", content=b"x")
    assert not [path for path in (root / "images").rglob("*") if path.is_file()]


def test_a_bomb_is_refused_before_it_is_decoded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = io.BytesIO()
    Image.new("1", (9000, 9000)).save(picture, "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)  # is not reached
    answer = client.post("/api/read", content=picture.getvalue())
    assert answer.status_code == 413
    assert json.loads(answer.content)["error"].startswith("the upload is 9000x9000")
