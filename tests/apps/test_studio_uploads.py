"""Uploads and strokes: bounded in pixels, memory, number and bytes, whatever is sent."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio import uploads as module
from gouache.apps.studio.bodies import Bodies
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.uploads import DECODINGS, Uploads, lay_together, read_strokes
from gouache.apps.studio.worker import Studio
from gouache.errors import OutputError
from gouache.ops.images import load_image, read_picture
from studio_client import file_of, submit, tiny_build, upload, wait


def started(folder: Path, **limits: int) -> Studio:
    return Studio(folder, Limits(**limits), tiny_build)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    studio = started(tmp_path / "runs", pixels=128 * 128, upload_pixels=10**6)
    yield TestClient(make_app(studio), raise_server_exceptions=False)
    studio.close()


def flat_png(width: int, height: int) -> bytes:
    """A PNG of one colour whose pixels are never held: a few kilobytes, whatever its size."""
    packer, rows = zlib.compressobj(9), bytes(1 + 3 * width)
    body = b"".join(packer.compress(rows) for _ in range(height)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)), (b"IDAT", body)]
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in [*chunks, (b"IEND", b"")]:
        crc = struct.pack(">I", zlib.crc32(name + content))
        data += struct.pack(">I", len(content)) + name + content + crc
    return data


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture that no format makes small."""
    rng = np.random.default_rng(0)
    shape = (size[1], size[0], len(Image.new(mode, (1, 1)).getbands()))
    return Image.fromarray(rng.integers(0, 256, shape, np.uint8).squeeze(), mode)


def test_a_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = started(tmp_path / "runs")
    client = TestClient(make_app(studio))
    data = flat_png(9459, 9459)
    assert len(data) < 400_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)  # is not reached
    answer = client.post("/api/images", content=data)
    assert answer.status_code == 413
    assert "9459x9459" in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    studio.close()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_pixels_count_in_every_format(client: TestClient, kind: str) -> None:
    answer = client.post("/api/images", content=file_of(Image.new("RGB", (1100, 1000)), kind))
    assert answer.status_code == 413


def test_icons_are_not_read_as_their_size_may_be_another(client: TestClient) -> None:
    answer = client.post("/api/images", content=file_of(Image.new("RGB", (32, 32)), "ICO"))
    assert answer.status_code == 400
    assert "send a PNG" in answer.json()["error"]


def test_a_large_photograph_is_scaled_while_it_is_decoded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[int, int]] = []
    thumbnail = Image.Image.thumbnail

    def noted(self: Image.Image, *arguments: Any, **options: Any) -> None:
        decoded.append(self.size)
        thumbnail(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "thumbnail", noted)
    photograph = Image.linear_gradient("L").resize((3000, 2000)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    answer = client.post("/api/images", content=file_of(photograph, "JPEG", exif=exif))
    assert answer.status_code == 201
    told = answer.json()
    assert 0.6 < told["width"] / told["height"] < 0.7
    assert told["width"] * told["height"] <= 4 * 128 * 128
    assert all(width * height <= 10**6 for width, height in decoded)
    kept = Image.open(io.BytesIO(client.get(f"/api/images/{told['id']}").content))
    assert kept.size == (told["width"], told["height"])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_is_made_smaller_as_load_image_sees_it(
    client: TestClient, tmp_path: Path, mode: str
) -> None:
    grey = Image.linear_gradient("L").resize((400, 300))
    if mode in ("I;16", "I"):
        values = np.asarray(grey).astype(np.uint16 if mode == "I;16" else np.int32) * 257
        picture = Image.fromarray(values)
    elif mode == "F":
        picture = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    else:
        picture = grey.convert("RGB").convert(mode)
    data = file_of(picture, "TIFF" if mode in ("CMYK", "F", "I") else "PNG")
    told = client.post("/api/images", content=data)
    assert told.status_code == 201, told.text
    kept = Image.open(io.BytesIO(client.get(f"/api/images/{told.json()['id']}").content))
    assert kept.size == (295, 221)
    (tmp_path / "whole").write_bytes(data)
    whole = load_image(tmp_path / "whole").resize(kept.size, Image.Resampling.BICUBIC)
    distance = np.abs(np.asarray(kept.convert("RGB"), float) - np.asarray(whole, float))
    assert distance.mean() < (20 if mode == "1" else 3)


def test_a_photograph_does_not_grow(tmp_path: Path) -> None:
    studio = started(tmp_path / "runs")
    client = TestClient(make_app(studio))
    exif = Image.Exif()
    exif[0x010F] = "a camera with a serial number"
    data = file_of(noise((700, 500)), "JPEG", quality=90, exif=exif)
    name = upload(client, data)
    (kept,) = (tmp_path / "runs" / "images").rglob(f"{name}*")
    assert kept.stat().st_size < 2.5 * len(data)
    assert b"serial number" not in kept.read_bytes()
    answer = client.get(f"/api/images/{name}")
    assert answer.headers["content-type"] == "image/jpeg"
    wait(client, submit(client, image=name), "done")
    studio.close()


def test_what_is_exact_stays_exact(client: TestClient) -> None:
    picture = noise((64, 48))
    kept = client.get(f"/api/images/{upload(client, file_of(picture))}").content
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept))), np.asarray(picture))


def test_few_are_decoded_at_a_time_and_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most, given_back = [0], [0], []
    lock, enough = threading.Lock(), threading.Event()

    def slow(path: Path) -> Image.Image:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        enough.wait(0.05)
        with lock:
            now[0] -= 1
        return read_picture(path)

    monkeypatch.setattr(module, "read_picture", slow)
    monkeypatch.setattr(module, "give_back", lambda: given_back.append(1))
    monkeypatch.setattr(module, "_LARGE", 64 * 48)
    kept = Uploads(tmp_path, Limits())
    data = file_of(noise((64, 48)))
    threads = [threading.Thread(target=kept.add, args=(data, f"v{k}")) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 1 <= most[0] <= DECODINGS
    assert len(given_back) == 8
    assert not list(tmp_path.rglob(".gouache-*"))


def test_each_visitor_has_so_many_bytes_and_the_oldest_make_room(tmp_path: Path) -> None:
    data = file_of(noise((32, 32)))
    studio = started(tmp_path / "runs", upload_space=3 * len(data) + 500)
    one, other = TestClient(make_app(studio)), TestClient(make_app(studio))
    first = upload(other, data)
    names = [upload(one, data) for _ in range(6)]
    found = [one.get(f"/api/images/{name}").status_code for name in names]
    assert found.count(200) <= 3
    assert found[-1] == 200
    assert other.get(f"/api/images/{first}").status_code == 200
    large = one.post("/api/images", content=file_of(noise((80, 80))))
    assert large.status_code == 413
    assert one.get(f"/api/images/{names[-1]}").status_code == 200  # nothing went for it
    studio.close()


def test_all_visitors_together_have_so_many_bytes(tmp_path: Path) -> None:
    data = file_of(noise((32, 32)))
    most = 5 * len(data) + 500
    studio = started(tmp_path / "runs", upload_space_of_all=most)
    app = make_app(studio)
    answers = [TestClient(app).post("/api/images", content=data) for _ in range(8)]
    codes = [answer.status_code for answer in answers]
    assert codes.count(201) == 5
    assert set(codes) == {201, 507}
    assert "already" in answers[-1].json()["error"]
    stored = sum(path.stat().st_size for path in (tmp_path / "runs" / "images").rglob("*.*"))
    assert stored <= most
    studio.close()


def test_a_full_disk_is_told_without_a_path(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OutputError(f"cannot write {path}: no space is left on the disk")

    monkeypatch.setattr(module, "write_bytes", full)
    answer = client.post("/api/images", content=file_of(noise((32, 32))))
    assert answer.status_code == 507
    assert str(tmp_path) not in answer.text
    assert not list(tmp_path.rglob(".gouache-*"))


def test_bodies_are_counted_together(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = [getattr(route, "endpoint", None) for route in client.app.routes]  # type: ignore[attr-defined]
    owners = [getattr(one, "__self__", None) for one in endpoints]
    bodies = next(one.bodies for one in owners if hasattr(one, "bodies"))
    assert isinstance(bodies, Bodies)
    monkeypatch.setattr(bodies, "_most", 1000)
    assert client.post("/api/images", content=bytes(2000)).status_code == 503
    assert client.post("/api/prompts", json={"prompt": "a" * 2000}).status_code == 503
    assert client.post("/api/prompts", json={"prompt": "a" * 200}).status_code == 200
    assert bodies.held == 0


def test_a_body_that_says_it_is_too_long_is_not_read(client: TestClient) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    headers = {"content-length": "99999999999"}
    answer = client.build_request("POST", "/api/images", headers=headers)
    assert client.send(answer).status_code == 413


def stroke(color: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> bytes:
    layer = Image.new("RGBA", (32, 24))
    layer.paste(color, box)
    return file_of(layer)


def test_a_paused_run_keeps_one_layer_of_any_number_of_strokes(tmp_path: Path) -> None:
    studio = started(tmp_path / "runs")
    client = TestClient(make_app(studio))
    run = submit(client, settings={"steps": [6]})
    wait(client, run, "done")
    held = studio.runs[run]
    held.changed(status="paused")
    large = file_of(noise((1024, 768), "RGBA"))
    for _ in range(30):
        assert client.post(f"/api/runs/{run}/draw", content=large).status_code == 200
    assert sum(path.stat().st_size for path in held.drawings) < 2 * 4 * 32 * 24 + 1000
    assert len(held.drawings) == 1
    held.changed(status="done")
    studio.close()


def test_the_last_stroke_is_on_top_and_earlier_ones_stay() -> None:
    layers = [stroke((255, 0, 0, 255), (0, 0, 20, 24)), stroke((0, 0, 255, 255), (10, 0, 32, 24))]
    together = Image.open(io.BytesIO(lay_together([read_strokes(one, (32, 24)) for one in layers])))
    assert together.getpixel((5, 5)) == (255, 0, 0, 255)
    assert together.getpixel((15, 5)) == (0, 0, 255, 255)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 255)] * 3, st.integers(1, 255)),
            st.integers(0, 15),
            st.integers(16, 32),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_one_layer_shows_what_its_strokes_show(
    strokes: list[tuple[tuple[int, int, int, int], int, int]],
) -> None:
    layers = [stroke(color, (left, 0, right, 24)) for color, left, right in strokes]
    below = Image.new("RGBA", (32, 24), (90, 120, 60, 255))
    each = below
    for layer in layers:
        each = Image.alpha_composite(each, Image.open(io.BytesIO(layer)))
    once = Image.alpha_composite(below, Image.open(io.BytesIO(lay_together(layers))))
    assert np.abs(np.asarray(each, int) - np.asarray(once, int)).max() <= 2 * len(layers)
