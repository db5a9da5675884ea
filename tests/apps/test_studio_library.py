"""What was painted before: thumbnails, names, trash, ZIP files, exports; pictures sent again."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.studio import copies, trash
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits
from gouache.apps.studio.worker import Studio
from gouache.output.pictures import read_metadata
from studio_client import fill_disk, submit, tiny_build, wait

NOBODY = "f" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    studio = Studio(root, Limits(), tiny_build)
    yield TestClient(make_app(studio, local=True), raise_server_exceptions=False)
    studio.close()


@pytest.fixture
def run(client: TestClient) -> str:
    """A finished one, 32x24."""
    name = submit(client)
    wait(client, name, "done")
    return name


def again(root: Path) -> TestClient:
    """Another server on the same folder."""
    return TestClient(make_app(Studio(root, Limits(), tiny_build), local=True))


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def told(answer: Any, status: int = 400) -> str:
    """The one line of a refusal."""
    assert answer.status_code == status, answer.text
    line = str(answer.json()["error"])
    assert 0 < len(line) < 400
    assert "\n" not in line
    return line


def test_thumbnails_are_small_made_once_and_kept(
    client: TestClient, run: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = client.get(f"/api/runs/{run}/thumb?side=320")
    assert answer.headers["content-type"] == "image/webp"
    assert opened(answer).size == (32, 24)  # never larger than the picture
    assert (root / "runs" / run / "copies" / "picture-320.webp").exists()
    Image.new("RGB", (900, 600)).save(root / "runs" / run / "nodes" / "0.png")
    node = client.get(f"/api/runs/{run}/nodes/0/thumb?side=100")
    assert opened(node).size == (160, 107)
    assert "max-age" in node.headers["cache-control"]
    monkeypatch.setattr(copies, "encode", None)  # nothing is made any more
    assert client.get(f"/api/runs/{run}/thumb").content == answer.content
    assert again(root).get(f"/api/runs/{run}/thumb").content == answer.content
    seen = {"if-none-match": answer.headers["etag"]}
    assert client.get(f"/api/runs/{run}/thumb", headers=seen).status_code == 304


def test_a_thumbnail_follows_its_picture(client: TestClient, run: str, root: Path) -> None:
    before = client.get(f"/api/runs/{run}/thumb").content
    Image.new("RGB", (32, 24), "blue").save(root / "runs" / run / "picture.png")
    after = opened(client.get(f"/api/runs/{run}/thumb"))
    assert client.get(f"/api/runs/{run}/thumb").content != before
    assert after.convert("RGB").getpixel((5, 5))[2] > 200  # type: ignore[index]


@pytest.mark.parametrize("side", ["0", "-5", "641", "x", "", "1e3", "9" * 5000])
def test_other_sides_are_refused_in_one_line(client: TestClient, run: str, side: str) -> None:
    assert "side is" in told(client.get(f"/api/runs/{run}/thumb", params={"side": side}))


def test_what_has_no_thumbnail(client: TestClient, run: str) -> None:
    told(client.get(f"/api/runs/{run}/nodes/99/thumb"), 404)
    told(client.get(f"/api/runs/{NOBODY}/thumb"), 404)


def test_a_thumbnail_of_what_goes_into_the_trash_meanwhile(
    client: TestClient, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone.webp"
    monkeypatch.setattr("gouache.apps.studio.library.thumbnail", lambda *asked: gone)
    assert "not here any more" in told(client.get(f"/api/runs/{run}/thumb"), 404)


def test_names_and_favourites_are_kept_over_restarts(
    client: TestClient, run: str, root: Path
) -> None:
    plain = client.get(f"/api/runs/{run}").json()
    assert (plain["name"], plain["favourite"]) == ("", False)
    assert [node["favourite"] for node in plain["nodes"]] == [False, False]
    answer = client.patch(f"/api/runs/{run}", json={"name": " the red\none ", "favourite": True})
    assert answer.json()["name"] == "the red one"
    client.patch(f"/api/runs/{run}/nodes/1", json={"favourite": True})
    client.patch(f"/api/runs/{run}/nodes/1", json={"name": "ripe"})
    for one in (client, again(root)):
        (found,) = one.get("/api/runs").json()["runs"]
        assert (found["name"], found["favourite"]) == ("the red one", True)
        nodes = [(node["name"], node["favourite"]) for node in found["nodes"]]
        assert nodes == [("", False), ("ripe", True)]
        assert found["version"] >= 0
    picture = client.get(f"/api/runs/{run}/picture.png")
    assert "the-red-one" in picture.headers["content-disposition"]


@pytest.mark.parametrize(
    "body", [None, [], {}, {"name": 3}, {"name": "x" * 201}, {"favourite": 1}, {"owner": "me"}]
)
def test_other_changes_are_refused(client: TestClient, run: str, body: Any) -> None:
    for path in ("", "/nodes/0"):
        told(client.patch(f"/api/runs/{run}{path}", json=body))
    assert client.get(f"/api/runs/{run}").json()["name"] == ""
    told(client.patch(f"/api/runs/{run}/nodes/9", json={"favourite": True}), 404)
    told(client.patch(f"/api/runs/{NOBODY}", json={"favourite": True}), 404)


def test_a_name_that_cannot_be_kept_is_not_told_as_kept(
    client: TestClient, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    told(client.patch(f"/api/runs/{run}", json={"name": "x", "favourite": True}), 507)
    told(client.patch(f"/api/runs/{run}/nodes/0", json={"favourite": True}), 507)
    found = client.get(f"/api/runs/{run}").json()
    assert (found["name"], found["favourite"], found["nodes"][0]["favourite"]) == ("", False, False)


def test_what_is_deleted_can_come_back(client: TestClient, root: Path) -> None:
    first, second = (submit(client, prompt) for prompt in ("a red apple", "a blue fish"))
    wait(client, second, "done")
    client.patch(f"/api/runs/{first}", json={"favourite": True})
    before = client.get(f"/api/runs/{first}/picture.png").content
    assert client.delete(f"/api/runs/{first}").json() == {"deleted": True, "days": 7}
    assert client.get(f"/api/runs/{first}").status_code == 404
    told(client.delete(f"/api/runs/{first}"), 404)
    told(client.post("/api/runs", json={"prompt": "x", "image": f"{first}/0"}))
    (binned,) = client.get("/api/trash").json()["runs"]
    until = (root / "trash" / first).stat().st_mtime + trash.DAYS * 24 * 3600
    assert binned["until"] == until
    seen = client.get(f"/api/trash/{first}/thumb?side=160")
    assert Image.open(io.BytesIO(seen.content)).format == "WEBP"
    (again,) = client.get("/api/trash").json()["runs"]
    assert again["until"] == until  # looking at it does not keep it longer
    assert (binned["id"], binned["favourite"]) == (first, True)
    back = client.post(f"/api/runs/{first}/restore")
    assert back.status_code == 200, back.text
    assert back.json()["id"] == first
    assert client.get("/api/trash").json()["runs"] == []
    told(client.post(f"/api/runs/{first}/restore"), 404)
    runs = client.get("/api/runs").json()["runs"]
    assert [run["id"] for run in runs] == [first, second]  # oldest first, as before
    assert client.get(f"/api/runs/{first}/picture.png").content == before
    assert (root / "runs" / first / "picture.png").exists()


def test_the_trash_outlives_the_server_and_is_emptied_after_a_week(
    client: TestClient, root: Path
) -> None:
    old, new = submit(client, "an old one"), submit(client, "a new one")
    wait(client, new, "done")
    for run in (old, new):
        client.delete(f"/api/runs/{run}")
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(root / "trash" / old, (eight_days_ago, eight_days_ago))
    later = again(root)
    assert [run["id"] for run in later.get("/api/trash").json()["runs"]] == [new]
    assert [path.name for path in (root / "trash").iterdir()] == [new]
    assert later.post(f"/api/runs/{new}/restore").json()["status"] == "done"
    assert later.get(f"/api/runs/{new}/nodes/0.png").status_code == 200


def test_the_trash_keeps_the_newest(
    client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "MOST", 2)
    runs = [submit(client) for _ in range(3)]
    for place, run in enumerate(runs):
        wait(client, run, "done")
        client.delete(f"/api/runs/{run}")
        os.utime(root / "trash" / run, (time.time() - 100 + place,) * 2)
    assert [run["id"] for run in client.get("/api/trash").json()["runs"]] == runs[1:]


def test_deleting_for_good(client: TestClient, run: str, root: Path) -> None:
    other = submit(client)
    wait(client, other, "done")
    client.delete(f"/api/runs/{other}")
    for one in (run, other):  # from the gallery, and from the trash
        assert client.delete(f"/api/runs/{one}?forever=true").json()["days"] == 0
    assert client.get("/api/trash").json()["runs"] == []
    assert not [*(root / "runs").iterdir(), *(root / "trash").iterdir()]


def test_the_trash_is_its_owners(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs", Limits(), tiny_build)
    app = make_app(studio)
    ada, bob = TestClient(app), TestClient(app)
    run = submit(ada)
    wait(ada, run, "done")
    ada.delete(f"/api/runs/{run}")
    assert bob.get("/api/trash").json()["runs"] == []
    told(bob.post(f"/api/runs/{run}/restore"), 404)
    told(bob.delete(f"/api/runs/{run}?forever=true"), 404)
    told(bob.get(f"/api/runs/{run}/thumb"), 404)
    assert ada.post(f"/api/runs/{run}/restore").status_code == 200
    told(bob.get(f"/api/zip?runs={run}"), 404)
    told(bob.patch(f"/api/runs/{run}", json={"favourite": True}), 404)
    studio.close()


def test_a_deletion_that_fails_loses_nothing(
    client: TestClient, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, target: Path) -> None:
        raise PermissionError(13, "denied", str(self))

    monkeypatch.setattr(Path, "rename", denied)
    assert "permission denied" in told(client.delete(f"/api/runs/{run}"), 507)
    monkeypatch.undo()
    assert client.get(f"/api/runs/{run}/picture.png").status_code == 200


def test_pictures_and_their_settings_in_a_zip_file(client: TestClient, run: str) -> None:
    other = submit(client)  # of the same words
    wait(client, other, "done")
    client.patch(f"/api/runs/{run}", json={"name": "../Ärger\\1"})
    answer = client.get(f"/api/zip?runs={run},{other},{other}/1,{run}")
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names)) == 6
        assert names[2:] == [
            *("a-red-apple.png", "a-red-apple.json"),
            *("a-red-apple-point-1.png", "a-red-apple-point-1.json"),
        ]
        assert not any("/" in name or "\\" in name for name in names)
        assert archive.read(names[0]) == client.get(f"/api/runs/{run}/picture.png").content
        settings = json.loads(archive.read(names[1]))
        assert settings == client.get(f"/api/runs/{run}/settings.json").json()


@pytest.mark.parametrize("runs", ["", "x", NOBODY, "../..", ",", f"{NOBODY}/0", "a," * 500])
def test_zip_files_of_nothing_are_refused(client: TestClient, run: str, runs: str) -> None:
    answer = client.get("/api/zip", params={"runs": runs})
    told(answer, answer.status_code)
    assert answer.status_code in (400, 404)
    told(client.get("/api/zip", params={"runs": f"{run}/99"}))


@pytest.mark.parametrize(("kind", "suffix"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_a_picture_is_exported_in_every_size_with_its_settings(
    client: TestClient, run: str, tmp_path: Path, kind: str, suffix: str
) -> None:
    client.patch(f"/api/runs/{run}", json={"name": "the red one"})
    for query, size in (("", (32, 24)), ("&side=64", (64, 48)), ("&side=16", (16, 12))):
        answer = client.get(f"/api/runs/{run}/export?format={kind}{query}")
        picture = opened(answer)
        assert (picture.format or "").lower() == kind
        assert picture.size == size
        number = query.removeprefix("&side=")
        name = f"the-red-one-{number}.{suffix}" if number else f"the-red-one.{suffix}"
        disposition = answer.headers["content-disposition"]
        assert disposition == f'attachment; filename="{name}"'
        read = client.post("/api/read", content=answer.content).json()
        assert (read["prompt"], read["size"]) == ("a red apple", [32, 24])
        assert read["notes"] == ["not taken in the studio, which has its own: device, precision"]
        (tmp_path / name).write_bytes(answer.content)
        record = read_metadata(tmp_path / name)
        resized = {"size": list(size), "resampling": "lanczos"}
        assert record.get("exported") == (None if size == (32, 24) else resized)


def test_points_of_the_history_are_exported_with_settings_too(
    client: TestClient, run: str, tmp_path: Path
) -> None:
    answer = client.get(f"/api/runs/{run}/nodes/0/export?side=48")
    assert opened(answer).size == (48, 36)
    assert "a-red-apple-point-0-48.png" in answer.headers["content-disposition"]
    read = client.post("/api/read", content=answer.content).json()
    assert (read["prompt"], read["size"], read["settings"]["steps"]) == (
        "a red apple",
        [32, 24],
        [6],
    )
    (tmp_path / "x.png").write_bytes(answer.content)
    assert read_metadata(tmp_path / "x.png")["step"] == 0


def test_an_export_in_its_own_size_keeps_every_pixel(client: TestClient, run: str) -> None:
    whole = opened(client.get(f"/api/runs/{run}/picture.png"))
    assert opened(client.get(f"/api/runs/{run}/export")).tobytes() == whole.tobytes()
    assert opened(client.get(f"/api/runs/{run}/export?format=webp")).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "query", ["side=0", "side=15", "side=4097", "side=x", "format=gif", "format=", "side=1e3"]
)
def test_other_exports_are_refused(client: TestClient, run: str, query: str) -> None:
    told(client.get(f"/api/runs/{run}/export?{query}"))
    told(client.get(f"/api/runs/{run}/nodes/9/export"), 404)


def test_exports_and_films_are_made_once_and_the_newest_kept(
    client: TestClient, run: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "EXPORTS", 2)
    for side in (16, 17, 18):
        client.get(f"/api/runs/{run}/export?side={side}")
    assert len(list((root / "runs" / run).glob("copies/export-*"))) == 2
    paths = [f"/api/runs/{run}/{name}" for name in ("export?side=18", "timelapse.gif")]
    before = [client.get(path).content for path in paths]
    with monkeypatch.context() as patch:
        patch.setattr(copies, "save_picture", None)
        patch.setattr("gouache.apps.studio.films.timelapse", None)
        assert [client.get(path).content for path in paths] == before
    # And again where the picture is another one.
    Image.new("RGB", (32, 24), "blue").save(root / "runs" / run / "picture.png")
    assert all(client.get(path).content != old for path, old in zip(paths, before, strict=True))
