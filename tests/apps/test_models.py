"""`gouache models`: everything on the command line, and painting by name."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gouache.output.pictures import read_metadata
from gouache.weights import catalogue as catalogue_module
from gouache.weights import download as download_module
from gouache.weights.catalogue import Entry, File, catalogue
from perceptors.clip_samples import archive, write_merges
from perceptors.hub_samples import save_clip
from small import SIZED, SMALL
from weights.flaky import Flaky, flaky_server, serve, status
from weights.test_safe_weights import Evil

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
DOCS = Path(__file__).parents[2] / "docs" / "models.md"
WEIGHTS = (GOLDEN / "taming_vq.ckpt").read_bytes()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    """A catalogue of one model, `tiny-f4`, and the server that has it."""
    with flaky_server() as flaky:
        config = (GOLDEN / "taming_vq.yaml").read_bytes()
        flaky.routes |= {"/v.ckpt": [serve(WEIGHTS)], "/v.yaml": [serve(config)]}
        sha256 = hashlib.sha256(WEIGHTS).hexdigest()
        entry = Entry(
            "tiny-f4", "generator", "vqgan",
            weights=File("v.ckpt", (f"{flaky.url}/v.ckpt",), sha256, len(WEIGHTS)),
            config=File("v.yaml", (f"{flaky.url}/v.yaml",)),
        )  # fmt: skip
        monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"tiny-f4": entry})
        yield flaky


def failed(outcome) -> str:
    assert outcome.code == 2
    assert outcome.err.startswith("gouache: ")
    assert "Traceback" not in outcome.err
    assert outcome.err.count("\n") == 1
    return outcome.err


def test_list(gouache) -> None:
    lines = gouache("models", "list").out.splitlines()
    assert lines[0].split()[:3] == ["NAME", "KIND", "F"]
    assert len(lines) == 1 + 6 + len(catalogue())
    [line] = [line for line in lines if line.startswith("imagenet-f16-16384 ")]
    for part in ("generator", "16384", "256", "980 MB", "845a68805098", "MIT"):
        assert part in line
    assert "cached" not in line
    [line] = [line for line in lines if line.startswith("wikiart ")]
    assert line.split()[-3:] == ["unknown", "unknown", "unknown"]
    assert sum(line.endswith("shipped") for line in lines) == 6


def test_list_as_json(gouache) -> None:
    rows = json.loads(gouache("models", "list", "--json").out)
    by_name = {row["name"]: row for row in rows}
    row = by_name["gumbel-f8-8192"]
    assert row["file_size"] == 376_581_823
    assert row["downsampling"] == 8
    assert len(row["sources"]) == 3
    assert not row["cached"]
    assert by_name["siglip2-b-16"]["hub"] == "google/siglip2-base-patch16-224"
    assert by_name["pocket"]["cached"]
    assert all(row["status"] in ("shipped", "catalogue") for row in rows)
    failed(gouache("models", "list", "--json", "--markdown"))


def test_the_documentation_holds_the_table(gouache) -> None:
    """Renewed by: gouache models list --markdown"""
    tables = gouache("models", "list", "--markdown").out.strip()
    assert tables in DOCS.read_text(encoding="utf-8")


def test_fetch_then_verify_then_remove(gouache, server: Flaky, cache: Path) -> None:
    done = gouache("models", "fetch", "tiny-f4")
    path = cache / "models" / "tiny-f4" / "model.safetensors"
    assert done.out == f"tiny-f4: {path}\n"
    assert "fetching v.ckpt of tiny-f4: 4.2 MB" in done.err
    assert gouache("models", "fetch", "tiny-f4", "pocket").out.splitlines() == [
        f"tiny-f4: {path}",
        "pocket comes with gouache; there is nothing to fetch",
    ]
    assert len(server.of("/v.ckpt")) == 1
    [line] = [x for x in gouache("models", "list").out.splitlines() if x.startswith("tiny-f4")]
    assert line.endswith("cached")
    assert line.split()[2:5] == ["4", "48", "32"]  # known since it was converted
    assert gouache("models", "path", "tiny-f4").out == f"{path}\n"
    assert gouache("models", "path").out == f"{cache}\n"
    assert gouache("models", "verify").out == "tiny-f4: as recorded\n"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    wrong = gouache("models", "verify", "tiny-f4")
    assert "expected" in wrong.out
    assert "1 of 1 models are damaged" in failed(wrong)
    (path.parent / "model.json").write_text("{")
    assert "is damaged" in gouache("models", "verify").out
    failed(gouache("models", "verify", "tiny-f4"))
    assert gouache("models", "remove", "tiny-f4").out == "removed tiny-f4\n"
    assert "not in the cache" in failed(gouache("models", "path", "tiny-f4"))
    assert gouache("models", "verify").out == ""


def test_fetch_that_fails(gouache, server: Flaky) -> None:
    server.routes["/v.ckpt"] = [status(404)]
    done = gouache("models", "fetch", "tiny-f4", "--quiet")
    assert "404 Not Found" in failed(done)
    assert done.out == ""
    assert "did you mean tiny-f4" in failed(gouache("models", "fetch", "tiny-f5"))
    assert server.of("/v.yaml")  # found out before anything was asked for


def test_painting_with_a_name_fetches_it(gouache, server: Flaky) -> None:
    done = gouache("a red apple", "--generator", "tiny-f4", *SMALL, "--out", "x.png", "--quiet")
    assert done.code == 0, done.err
    assert done.err.splitlines() == ["gouache: fetching v.ckpt of tiny-f4: 4.2 MB"]
    assert read_metadata(Path("x.png"))["generator"]["name"] == "tiny-f4"
    server.routes.clear()
    again = gouache("replay", "x.png", "--out", "y.png", "--quiet")
    assert again.code == 0, again.err
    assert Path("x.png").read_bytes() == Path("y.png").read_bytes()


def test_a_perceptor_is_no_generator_and_is_not_fetched_as_one(
    gouache, server: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        catalogue_module,
        "catalogue",
        lambda: {"clip": Entry("clip", "perceptor", "transformers", hub="someone/clip")},
    )
    line = failed(gouache("x", "--generator", "clip", *SMALL, "--out", "x.png"))
    assert "is a perceptor" in line
    assert server.requests == []


def test_painting_offline_says_what_to_place_where(
    gouache, server: Flaky, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ["a red apple", "--generator", "tiny-f4", *SMALL, "--out", "x.png"]
    line = failed(gouache(*arguments))
    assert "HF_HUB_OFFLINE is set" in line
    assert f"v.ckpt (4.2 MB, sha256 {hashlib.sha256(WEIGHTS).hexdigest()})" in line
    assert f"in {cache / 'downloads' / 'tiny-f4'} and try again" in line
    assert server.requests == []
    for suffix in (".ckpt", ".yaml"):
        shutil.copy(GOLDEN / f"taming_vq{suffix}", cache / "downloads" / "tiny-f4" / f"v{suffix}")
    assert gouache(*arguments, "--quiet").code == 0


@pytest.mark.parametrize(
    "source", [["taming_gumbel.ckpt", "taming_gumbel.yaml"], ["taming_vq.ckpt"], ["diffusers_vq"]]
)
def test_add_then_paint(gouache, source: list[str]) -> None:
    done = gouache("models", "add", *(GOLDEN / name for name in source), "--name", "mine")
    assert done.code == 0, done.err
    assert done.out.startswith("mine: a generator (vqgan, downsampling 4, codebook size ")
    painted = gouache("x", "--generator", "mine", *SMALL, "--out", "x.png", "--quiet")
    assert painted.code == 0, painted.err
    listed = [x for x in gouache("models", "list").out.splitlines() if x.startswith("mine")]
    assert listed[0].endswith("added")
    failed(gouache("models", "add", GOLDEN / source[0], "--name", "mine"))
    assert "did you mean mine" in failed(gouache("x", "--generator", "minee", "--out", "y.png"))


def test_what_a_checkpoint_is_does_not_depend_on_its_name(gouache, tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "taming_gumbel.ckpt", tmp_path / "clip-vit.pt")
    shutil.copy(GOLDEN / "taming_gumbel.yaml", tmp_path / "siglip.json")
    done = gouache("models", "add", "clip-vit.pt", "siglip.json", "--name", "mine")
    assert "codebook size 40" in done.out, done.err


@pytest.mark.parametrize("kind", ["openai", "transformers"])
def test_add_a_perceptor_then_paint(gouache, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "files"
    if kind == "openai":
        folder.mkdir()
        write_merges(folder)
        source = Path(shutil.copy(archive("vit"), folder / "last.ckpt"))
    else:
        pytest.importorskip("transformers")
        source = save_clip(folder)
    done = gouache("models", "add", source, "-n", "my-clip")
    assert done.out.startswith(f"my-clip: a perceptor ({kind}) in {source}"), done.err
    painted = gouache("a", "--perceptor", "my-clip:2", *SIZED, "--out", "x.png", "--quiet")
    assert painted.code == 0, painted.err
    assert read_metadata(Path("x.png"))["perceptors"][0]["name"] == "my-clip"
    assert gouache("models", "verify").out == "my-clip: as recorded\n"
    assert "is a perceptor" in failed(gouache("x", "--generator", "my-clip", "--out", "y.png"))
    removed = gouache("models", "remove", "my-clip").out
    assert f"its files remain in {source}" in removed
    assert source.exists()


BAD_ADDS = {
    "no name": ["models", "add", "v.ckpt"],
    "bad name": ["models", "add", "v.ckpt", "--name", "My Model"],
    "name of a file": ["models", "add", "v.ckpt", "--name", "v.ckpt"],
    "shipped name": ["models", "add", "v.ckpt", "--name", "pocket"],
    "published name": ["models", "add", "v.ckpt", "--name", "wikiart"],
    "missing": ["models", "add", "nowhere.ckpt", "--name", "mine"],
    "missing config": ["models", "add", "v.ckpt", "nowhere.yaml", "--name", "mine"],
    "no config": ["models", "add", "alone/v.ckpt", "--name", "mine"],
    "other config": ["models", "add", "v.ckpt", "notes.txt", "--name", "mine"],
    "text": ["models", "add", "notes.txt", "--name", "mine"],
    "empty folder": ["models", "add", "alone/empty", "--name", "mine"],
    "other folder": ["models", "add", "other", "--name", "mine"],
    "other tensors": ["models", "add", "tensors.pt", "--name", "mine"],
    "cut off": ["models", "add", "cut.ckpt", "--name", "mine"],
    "hostile": ["models", "add", "hostile.ckpt", "v.yaml", "--name", "mine"],
    "no such model": ["models", "remove", "mine"],
    "nothing to verify": ["models", "verify", "mine"],
    "path of nothing": ["models", "path", "mine"],
    "odd names": ["models", "path", "../../etc"],
}


@pytest.fixture
def files(tmp_path: Path) -> None:
    for suffix in (".ckpt", ".yaml"):
        shutil.copy(GOLDEN / f"taming_vq{suffix}", tmp_path / f"v{suffix}")
    (tmp_path / "alone" / "empty").mkdir(parents=True)
    shutil.copy(tmp_path / "v.ckpt", tmp_path / "alone")
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    (tmp_path / "cut.ckpt").write_bytes(WEIGHTS[:-100])
    torch.save({"weight": torch.zeros(3)}, tmp_path / "tensors.pt")
    state = torch.load(tmp_path / "v.ckpt", weights_only=True)
    torch.save({**state, "callbacks": Evil(tmp_path / "trace")}, tmp_path / "hostile.ckpt")


@pytest.mark.parametrize("arguments", BAD_ADDS.values(), ids=BAD_ADDS)
def test_bad_input_is_one_line(gouache, files, cache: Path, arguments: list[str]) -> None:
    failed(gouache(*arguments))
    assert not (cache / "models" / "mine").exists()
    assert not Path("trace").exists()


def test_a_configuration_that_would_not_be_read_is_refused(gouache, tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    path.write_bytes(archive("vit").read_bytes())
    write_merges(tmp_path)
    (tmp_path / "x.json").write_text('{"quick_gelu": false}')
    told = failed(gouache("models", "add", str(path), str(tmp_path / "x.json"), "--name", "c"))
    assert "put it there as clip.json" in told
    assert gouache("models", "add", str(path), "--name", "c").code == 0
