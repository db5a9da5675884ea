"""What a session of the studio leaves behind: no visitor's token and no path of the machine."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.cli.main import run as gouache
from gouache.apps.studio import painter
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Order
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.output.pictures import read_metadata
from tiny import TinyGenerator, TinyPerceptor, tiny_config

SCENE = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"


def tiny_build(order: Order) -> Session:
    """Like the studio's own, with tiny models."""
    config = tiny_config(
        prompt=order.config.title,
        size=order.config.size,
        steps=order.config.steps,
        image_prompts=order.config.image_prompts,
        init_image="" if order.image is None else str(order.image),
    )
    return Session.build(config, generator=TinyGenerator(), perceptor=TinyPerceptor())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "secret-machine" / "runs"


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    studio = Studio(root, build=tiny_build)
    yield TestClient(make_app(studio), raise_server_exceptions=False)
    studio.close()


def upload(client: TestClient, data: bytes) -> str:
    return str(client.post("/api/images", content=data).json()["id"])


def png(color: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 24), color).save(file, "PNG")
    return file.getvalue()


def done(client: TestClient, **body: Any) -> str:
    answer = client.post("/api/runs", json=body)
    assert answer.status_code == 201, answer.text
    run = str(answer.json()["id"])
    deadline = time.monotonic() + 60
    while (told := client.get(f"/api/runs/{run}").json())["status"] != "done":
        assert told["status"] != "failed", told
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return run


def texts(path: Path) -> bytes:
    """A file's bytes, and what is compressed inside it where it is a PNG."""
    data = path.read_bytes()
    found, place = [data], 8
    while data.startswith(b"\x89PNG") and place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunk = data[place + 8 : place + 8 + length]
        if data[place + 4 : place + 8] in (b"zTXt", b"iTXt"):
            for start in range(len(chunk)):
                try:
                    found.append(zlib.decompress(chunk[start:]))
                except zlib.error:
                    continue
        place += length + 12
    return b"\0".join(found)


@pytest.fixture
def left(client: TestClient, root: Path) -> str:
    """A session: a picture painted from two uploads, an edit with a mask. Gives the token."""
    sea, sun = upload(client, png("blue")), upload(client, png("red"))
    small = {"size": "32x24", "steps": [4]}
    prompts = [{"image": sun, "weight": 0.5}]
    run = done(client, prompt="a fish", settings=small, image=sea, image_prompts=prompts)
    assert client.get(f"/api/runs/{run}/timelapse.mp4").status_code == 200
    assert client.get(f"/api/runs/{run}/timelapse.gif").status_code == 200
    told = read_metadata(root / "runs" / run / "picture.png")
    assert told["config"]["init_image"] == f"{sea}.png"
    assert [one["name"] for one in told["inputs"]] == [f"{sea}.png", f"{sun}.png"]
    scene = upload(client, SCENE.read_bytes())
    mask = Image.new("L", (192, 128))
    mask.paste(255, (0, 0, 96, 128))
    file = io.BytesIO()
    mask.save(file, "PNG")
    edit = {"mask": upload(client, file.getvalue())}
    few = {"size": "48x32", "steps": [2], "num_cutouts": 3}
    run = done(client, prompt="a green apple", settings=few, image=scene, edit=edit)
    told = read_metadata(root / "runs" / run / "picture.png")
    assert told["edits"][0]["source"] == f"{scene}.png"
    return next(value for name, value in client.cookies.items() if "gouache" in name)


def traces(root: Path, secrets: list[str]) -> list[str]:
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            data = texts(path)
            found += [f"{path.relative_to(root)}: {s}" for s in secrets if s.encode() in data]
    return found


def test_no_file_tells_a_path_and_no_run_a_token(root: Path, left: str) -> None:
    assert len(left) >= 16
    paths = [str(root), "secret-machine", str(Path.home()), str(Path.cwd()), str(SCENE.parent)]
    assert traces(root, [path for path in paths if len(path) > 4]) == []
    # Whose run it is stands in a file of the studio's own.
    assert [one for one in traces(root, [left]) if "studio.json" not in one] == []


def test_the_command_line_goes_on_with_a_painting_of_the_studio(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its init image and its words were chosen in the page and are not in settings.json."""

    def build(order: Order) -> Session:
        session = painter.build_session(order)
        advance = session._try_step

        def step() -> Any:
            if session.step_index == 2:
                studio._closing = True
            return advance()

        session._try_step = step  # type: ignore[method-assign]
        return session

    studio = Studio(root, build=build)
    client = TestClient(make_app(studio))
    small = {"size": "32x32", "steps": [6], "num_cutouts": 3, "start_tries": 1}
    image = upload(client, png("blue"))
    prompts = [{"image": image, "weight": 1.0}]
    body = {"prompt": "a fish", "settings": small, "image": image, "image_prompts": prompts}
    run = client.post("/api/runs", json=body).json()["id"]
    deadline = time.monotonic() + 60
    while client.get(f"/api/runs/{run}").json()["status"] != "interrupted":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    studio.close()
    studio._painter.release(studio.runs[run])  # as the end of its process does
    folder = root / "runs" / run
    assert gouache(["resume", str(folder), "-q"]) == 0, capsys.readouterr().err
    assert read_metadata(folder / "picture.png")["step"] == 6
