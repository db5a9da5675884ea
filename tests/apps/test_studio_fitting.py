"""Pictures brought to a size by hand, and canvases that grow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio.fitting import extended
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.worker import Studio
from studio_client import file_of, tiny_build, upload, wait

NOBODY = "f" * 32
QUICK = {"steps": 2, "num_cutouts": 2, "seed": 1, "learning_rate": 0.2}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Paints with the tiny models, and edits with the shipped ones."""
    studio = Studio(tmp_path_factory.mktemp("s"), Limits(pixels=128 * 128), tiny_build)
    yield TestClient(make_app(studio, local=True), raise_server_exceptions=False)
    studio.close()


def halves(size: tuple[int, int] = (120, 60)) -> Image.Image:
    """Red at the left, blue at the right."""
    picture = Image.new("RGB", size, "red")
    picture.paste((0, 0, 255), (size[0] // 2, 0, *size))
    return picture


def bring(client: TestClient, query: str, data: bytes | None = None) -> dict[str, Any]:
    data = file_of(halves()) if data is None else data
    answer = client.post(f"/api/uploads?{query}", content=data)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"id", "mask", "width", "height"}
    return found


def picture(client: TestClient, name: str) -> np.ndarray[Any, Any]:
    answer = client.get(f"/api/images/{name}")
    assert answer.status_code == 200
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("margins", [(0, 40, 0, 0), (40, 0, 0, 0), (0, 0, 0, 30), (20, 9, 30, 1)])
def test_no_line_is_seen_where_an_extension_begins(margins: tuple[int, int, int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    old = Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)
    left, _, top, _ = margins
    grown = np.asarray(extended(old, margins)).astype(float)
    across, down = (np.abs(np.diff(grown, axis=axis)).mean(-1) for axis in (1, 0))
    usual = [np.abs(np.diff(np.asarray(old).astype(float), axis=axis)).mean() for axis in (1, 0)]
    inside = slice(top, top + 64), slice(left, left + 96)
    lines = [
        across[inside[0], at - 1].mean() / usual[0]
        for at in (left, left + 96)[not left :]
        if 0 < at < grown.shape[1]
    ]
    lines += [
        down[at - 1, inside[1]].mean() / usual[1]
        for at in (top, top + 64)[not top :]
        if 0 < at < grown.shape[0]
    ]
    assert len(lines) == sum(map(bool, margins))
    assert max(lines) < 1.5
    assert (grown[inside] == np.asarray(old)).all()


@pytest.mark.parametrize(("x", "color"), [(0, (255, 0, 0)), (1, (0, 0, 255))])
def test_a_crop_is_where_it_was_put(client: TestClient, x: int, color: Any) -> None:
    found = bring(client, f"fit=crop&size=40x40&x={x}")
    assert (found["width"], found["height"], found["mask"]) == (40, 40, None)
    assert np.abs(picture(client, found["id"]) - color).max() <= 16  # no half of the other


def test_a_crop_is_in_the_middle_by_itself_and_of_an_upload_too(client: TestClient) -> None:
    name = upload(client, file_of(halves()))
    found = bring(client, f"size=40x40&image={name}", b"")
    pixels = picture(client, found["id"])
    assert (pixels[:, 3] == (255, 0, 0)).all()
    assert (pixels[:, -4] == (0, 0, 255)).all()


def test_a_fitted_picture_is_whole_with_a_frame_of_its_edge(client: TestClient) -> None:
    found = bring(client, "fit=fit&size=60x60&y=0")
    pixels = picture(client, found["id"])
    assert found["mask"] is None
    assert np.abs(pixels[10, 5] - (255, 0, 0)).max() <= 3
    assert np.abs(pixels[10, 55] - (0, 0, 255)).max() <= 3
    assert np.ptp(pixels[32:].reshape(-1, 3), axis=0).max() == 0  # one colour, below


def test_an_extended_picture_brings_a_mask_of_what_is_new(client: TestClient) -> None:
    found = bring(client, "fit=extend&size=60x60&x=0.5&y=1")
    pixels, mask = picture(client, found["id"]), picture(client, found["mask"])
    assert pixels.shape == mask.shape == (60, 60, 3)
    assert (mask[:30] == 255).all()
    assert (mask[30:] == 0).all()
    old = np.asarray(halves().resize((60, 30), Image.Resampling.LANCZOS)).astype(int)
    assert np.array_equal(pixels[30:], old)
    red, blue = pixels[:20, :15].reshape(-1, 3).mean(0), pixels[:20, -15:].reshape(-1, 3).mean(0)
    assert red[0] > 200 > 50 > red[2]  # filled from its edge
    assert blue[2] > 200 > 50 > blue[0]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "size=40",
        "size=0x40",
        "size=-1x5",
        "size=1e3x4",
        "size=999x999",
        "size=40x40&fit=squash",
        "size=40x40&x=2",
        "size=40x40&y=nan",
        "size=40x40&x=left",
        f"size=40x40&image={NOBODY}",
        "size=40x40&image=../x",
    ],
)
def test_other_fits_are_one_line(client: TestClient, query: str) -> None:
    answer = client.post(f"/api/uploads?{query}", content=file_of(halves()))
    assert answer.status_code == 400, answer.text
    assert "\n" not in answer.json()["error"]


def test_a_fit_of_no_picture_is_one_line(client: TestClient) -> None:
    answer = client.post("/api/uploads?size=8x8", content=b"x")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the upload")


@pytest.fixture(scope="module")
def painted(client: TestClient) -> str:
    """A point of a history, 32x24."""
    body = {"prompt": "a house", "settings": {"size": "32x24", **QUICK}}
    run = client.post("/api/runs", json=body).json()["id"]
    wait(client, run, "done")
    return f"{run}/1"


def extend(client: TestClient, of: str, prompt: str = "a house", **sides: int) -> Any:
    body = {"prompt": prompt, "extend": {"of": of, **sides}, "settings": QUICK}
    return client.post("/api/runs", json=body)


def result(client: TestClient, run: str) -> np.ndarray[Any, Any]:
    answer = client.get(f"/api/runs/{run}/picture.png")
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    "sides", [{"left": 32, "top": 16}, {"right": 33}, {"right": 2, "bottom": 1, "left": 5}]
)
def test_a_canvas_grows_and_the_old_part_keeps_its_pixels(
    client: TestClient, painted: str, sides: dict[str, int]
) -> None:
    answer = extend(client, painted, **sides)
    assert answer.status_code == 201, answer.text
    told = wait(client, answer.json()["id"], "done")
    left, right, top, bottom = (sides.get(k, 0) for k in ("left", "right", "top", "bottom"))
    assert told["size"] == [32 + left + right, 24 + top + bottom]
    assert (told["kind"], told["parent"], told["prompt"]) == ("edit", painted, "a house")
    run, node = painted.split("/")
    old = client.get(f"/api/runs/{run}/nodes/{node}.png").content
    before = np.asarray(Image.open(io.BytesIO(old)).convert("RGB")).astype(int)
    after = result(client, told["id"])
    assert after.shape == (24 + top + bottom, 32 + left + right, 3)
    assert np.array_equal(after[top : top + 24, left : left + 32], before)


def test_the_new_part_is_painted(client: TestClient, painted: str) -> None:
    runs = [extend(client, painted, prompt, right=48).json()["id"] for prompt in ("fire", "a lake")]
    one, other = ((wait(client, run, "done"), result(client, run))[1] for run in runs)
    assert np.abs(one[:, 50:] - other[:, 50:]).mean() > 1


@pytest.mark.parametrize(
    "extend",
    [
        3,
        {},
        {"of": 3, "left": 8},
        {"of": NOBODY, "left": 8},
        {"of": f"{NOBODY}/0", "left": 8},
        {"of": "../x", "left": 8},
        {"left": -1},
        {"left": 1.5},
        {"left": True},
        {"left": 0},
        {"left": 4096},
        {"up": 8},
    ],
)
def test_other_extensions_are_one_line(client: TestClient, painted: str, extend: Any) -> None:
    if isinstance(extend, dict):
        extend = {"of": painted, **extend}
    answer = client.post("/api/runs", json={"prompt": "x", "extend": extend})
    assert answer.status_code == 400, answer.text
    assert "\n" not in answer.json()["error"]


def test_an_extension_is_no_other_edit(client: TestClient, painted: str) -> None:
    body = {"prompt": "x", "extend": {"of": painted, "left": 8}}
    for more in ({"image": painted}, {"edit": {"replace": "a tree"}}, {"settings": 3}):
        assert client.post("/api/runs", json={**body, **more}).status_code == 400
