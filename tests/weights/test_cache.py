"""From the catalogue to verified, converted weights in the cache, whatever servers and disks do."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gouache.generators  # noqa: F401  (registers the converter)
from gouache.errors import ModelError, OutputError
from gouache.generators import load_generator
from gouache.weights import cache, catalogue, records
from gouache.weights import download as download_module
from gouache.weights.cache import obtain
from gouache.weights.catalogue import Entry, File
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import read_model
from weights.flaky import Flaky, flaky_server, serve, status
from weights.test_safe_weights import Evil

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
WEIGHTS = (GOLDEN / "taming_vq.ckpt").read_bytes()
CONFIG = (GOLDEN / "taming_vq.yaml").read_bytes()
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class Silent:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def progress(self, label: str, done: int, total: int | None) -> None: ...


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[Flaky]:
    with flaky_server() as flaky:
        flaky.routes |= {"/v.ckpt": [serve(WEIGHTS)], "/v.yaml": [serve(CONFIG)]}
        yield flaky


def entry(server: Flaky, *mirrors: str, sha256: str | None = SHA256) -> Entry:
    sources = tuple(f"{server.url}/{name}" for name in (*mirrors, "v.ckpt"))
    weights = File("v.ckpt", sources, sha256, len(WEIGHTS) if sha256 else None)
    config = File("v.yaml", (f"{server.url}/v.yaml",))
    return Entry("tiny-f4", "generator", "vqgan", weights=weights, config=config)


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("locks/")}


CACHED = {"models/tiny-f4/model.json", "models/tiny-f4/model.safetensors", "pins/tiny-f4.json"}


def nothing_cached(folder: Path, match: str, entry: Entry) -> str:
    """Obtaining fails in one line, and no model is there that could be taken for one."""
    with pytest.raises(ModelError, match=match) as error:
        obtain(entry, Silent())
    assert "\n" not in str(error.value)
    assert not (folder / "models" / "tiny-f4").exists()
    return str(error.value)


def test_fetched_converted_and_the_pickle_removed(server: Flaky, folder: Path) -> None:
    watch = Silent()
    path = obtain(entry(server), watch)
    assert path == folder / "models" / "tiny-f4" / "model.safetensors"
    assert files(folder) == CACHED
    assert watch.notes == ["fetching v.ckpt of tiny-f4: 4.2 MB"]
    state, config = read_model(path)
    expected = load_generator(GOLDEN / "taming_vq.ckpt").state_dict()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    written = json.loads((path.parent / "model.json").read_bytes())
    assert written["config"] == config
    assert written["sums"] == {"model.safetensors": fingerprint(path)}
    assert written["original"]["v.ckpt"] == SHA256
    assert written["facts"] == {"downsampling": 4, "codebook_size": 48, "native_size": 32}
    # From now on the server is not needed.
    server.routes.clear()
    assert obtain(entry(server), Silent()) == path
    assert cache.cached(entry(server)) == path
    assert cache.verify("tiny-f4") == []


def test_the_size_is_said_before_the_first_byte_also_without_a_watch(server: Flaky) -> None:
    with pytest.warns(UserWarning, match=r"fetching v.ckpt of tiny-f4: 4\.2 MB"):
        obtain(entry(server, sha256=None))


def test_mirrors_are_tried_in_order(server: Flaky, folder: Path) -> None:
    wrong = serve(bytes(len(WEIGHTS)))
    server.routes |= {"/gone": [status(404)], "/busy": [status(503)], "/wrong": [wrong]}
    obtain(entry(server, "gone", "busy", "wrong"), Silent())
    assert files(folder) == CACHED
    asked = [request.path for request in server.requests if request.path != "/v.yaml"]
    assert asked == ["/gone", "/busy", "/busy", "/busy", "/wrong", "/v.ckpt"]


def test_all_mirrors_failing_is_one_line_that_says_what_to_place_where(
    server: Flaky, folder: Path
) -> None:
    server.routes |= {"/v.ckpt": [status(503)], "/gone": [status(404)]}
    line = nothing_cached(folder, "could not be fetched", entry(server, "gone"))
    assert "404 Not Found" in line
    assert "503 Service Unavailable" in line
    assert f"v.ckpt (4.2 MB, sha256 {SHA256})" in line
    assert f"v.yaml (unknown size, sha256 unknown) in {folder / 'downloads' / 'tiny-f4'}" in line


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_file_placed_by_hand_is_taken(
    server: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch, sha256: str | None
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wanted = entry(server, sha256=sha256)
    line = nothing_cached(folder, "HF_HUB_OFFLINE is set", wanted)
    assert server.requests == []
    place = folder / "downloads" / "tiny-f4"
    assert str(place) in line
    (place / "v.ckpt").write_bytes(WEIGHTS)
    (place / "v.yaml").write_bytes(CONFIG)
    obtain(wanted, Silent())
    assert files(folder) == CACHED


def test_a_wrong_file_placed_by_hand_is_refused_and_stays(server: Flaky, folder: Path) -> None:
    place = folder / "downloads" / "tiny-f4"
    place.mkdir(parents=True)
    (place / "v.ckpt").write_bytes(b"something else")
    nothing_cached(folder, f"expected {SHA256}; remove it", entry(server))
    assert (place / "v.ckpt").exists()


def test_an_unknown_sum_is_pinned_by_the_first_download(server: Flaky, folder: Path) -> None:
    wanted = entry(server, sha256=None)
    obtain(wanted, Silent())
    cache.remove("tiny-f4")
    assert files(folder) == {"pins/tiny-f4.json"}
    changed = (GOLDEN / "taming_gumbel.ckpt").read_bytes()
    server.routes["/v.ckpt"] = [serve(changed, etag='"2"')]
    line = nothing_cached(folder, f"expected {SHA256}", wanted)
    assert f"remove {folder / 'pins' / 'tiny-f4.json'}" in line
    server.routes["/v.ckpt"] = [serve(WEIGHTS)]
    obtain(wanted, Silent())  # the same as then is fine
    cache.remove("tiny-f4")
    (folder / "pins" / "tiny-f4.json").unlink()
    server.routes["/v.ckpt"] = [serve(changed, etag='"2"')]
    server.routes["/v.yaml"] = [serve((GOLDEN / "taming_gumbel.yaml").read_bytes())]
    obtain(wanted, Silent())


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>log in</html>", WEIGHTS[:-1000], b"", bytes(5000)]
)
def test_what_is_no_model_is_neither_pinned_nor_kept(
    server: Flaky, folder: Path, content: bytes
) -> None:
    wanted = entry(server, sha256=None)
    server.routes["/v.ckpt"] = [serve(content, etag='"x"')]
    nothing_cached(folder, "checkpoint|damaged", wanted)
    assert files(folder) == set()
    server.routes["/v.ckpt"] = [serve(WEIGHTS)]
    obtain(wanted, Silent())


def test_a_hostile_pickle_is_refused_and_does_nothing(
    server: Flaky, folder: Path, tmp_path: Path
) -> None:
    trace, trap = tmp_path / "trace", tmp_path / "trap"
    state = torch.load(GOLDEN / "taming_vq.ckpt", weights_only=True)
    torch.save({**state, "hyper_parameters": Evil(trace)}, trap)
    server.routes["/v.ckpt"] = [serve(trap.read_bytes())]
    nothing_cached(folder, "refused", entry(server, sha256=None))
    assert not trace.exists()
    assert files(folder) == set()
    with pytest.raises(ModelError, match="refused"):
        cache.add("mine", "generator", "vqgan", trap, GOLDEN / "taming_vq.yaml")
    assert not trace.exists()
    torch.load(trap, weights_only=False)  # the trap works where it is not guarded against
    assert trace.exists()


PROGRAM = """
import sys
from gouache.weights import cache
from gouache.weights.catalogue import Entry, File

def convert(weights, config, target):  # as quick as can be: no torch
    target.write_bytes(weights.read_bytes())
    return cache.Converted({}, {})

cache.converters.add("copy", convert)
url, sha256 = sys.argv[1:]
entry = Entry("tiny-f4", "generator", "copy", weights=File("v.ckpt", (url + "/v.ckpt",), sha256),
              config=File("v.yaml", (url + "/v.yaml",)))
print("ready", flush=True)
print(cache.obtain(entry), flush=True)
"""


def start(server: Flaky) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, server.url, SHA256]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def rest(process: subprocess.Popen[str]) -> str:
    # Not `communicate`: it passes over what reading the first line took in already.
    assert process.stdout is not None
    with process.stdout as output:
        text = output.read().strip()
    process.wait(timeout=60)
    return text


def test_of_several_processes_one_fetches(server: Flaky, folder: Path) -> None:
    server.routes["/v.ckpt"] = [serve(WEIGHTS, pause=0.005)]
    processes = [start(server) for _ in range(4)]
    outputs = {rest(process) for process in processes}
    assert outputs == {str(folder / "models" / "tiny-f4" / "model.safetensors")}
    assert len(server.of("/v.ckpt")) == 1
    assert files(folder) == CACHED
    assert Path(outputs.pop()).read_bytes() == WEIGHTS
    assert cache.verify("tiny-f4") == []


def test_a_killed_process_is_followed_by_one_that_goes_on(server: Flaky, folder: Path) -> None:
    server.routes["/v.ckpt"] = [serve(WEIGHTS, pause=0.02), serve(WEIGHTS)]
    process = start(server)
    part = folder / "downloads" / "tiny-f4" / "v.ckpt.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 1 << 18):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    rest(process)
    assert cache.cached(entry(server)) is None
    assert not (folder / "models" / "tiny-f4").exists()
    obtain(entry(server), Silent())
    assert "Range" in server.requests[-1].headers
    assert files(folder) == CACHED


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_conversion_that_ends_early_leaves_no_model(
    server: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def convert(weights: Path, config: Path | None, target: Path) -> cache.Converted:
        target.write_bytes(b"half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(cache.converters, "get", lambda family: convert)
        with pytest.raises(type(error)):
            obtain(entry(server), Silent())
    assert not (folder / "models" / "tiny-f4").exists()
    obtain(entry(server), Silent())
    assert len(server.of("/v.ckpt")) == 1  # what was fetched was not lost
    assert files(folder) == CACHED


def test_a_folder_that_cannot_be_written(
    server: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError) as error:
        obtain(entry(server), Silent())
    assert "\n" not in str(error.value)


def test_damage_is_noticed(server: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = entry(server)
    path = obtain(wanted, Silent())
    monkeypatch.setattr(catalogue, "catalogue", lambda: {"tiny-f4": wanted})
    assert load_generator("tiny-f4").name == "tiny-f4"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged, run: gouache models remove tiny-f4"):
        load_generator("tiny-f4")
    [line] = cache.verify("tiny-f4")
    assert "expected" in line
    path.write_bytes(content[:-1])  # a wrong length is seen at once, and mended
    assert cache.cached(wanted) is None
    obtain(wanted, Silent())
    assert cache.verify("tiny-f4") == []
    path.unlink()
    [line] = cache.verify("tiny-f4")
    assert "cannot read" in line


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"version": 99}', b'{"version": 1, "path": 3}', b"\xff"]
)
def test_a_damaged_record_is_one_line(server: Flaky, folder: Path, content: bytes) -> None:
    path = obtain(entry(server), Silent())
    (path.parent / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match="run: gouache models remove tiny-f4") as error:
        obtain(entry(server), Silent())
    assert "\n" not in str(error.value)
    assert list(records.read_all()) == []
    assert records.names() == ["tiny-f4"]
    cache.remove("tiny-f4")
    obtain(entry(server), Silent())


def test_the_cache_can_be_moved(
    server: Flaky, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain(entry(server), Silent())
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "elsewhere"))
    server.routes.clear()
    assert obtain(entry(server), Silent()).is_relative_to(tmp_path / "elsewhere")
    assert cache.verify("tiny-f4") == []


def test_a_missing_package_is_one_line(
    server: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    nothing_cached(folder, r"needs the package httpx2; run: pip install 'gouache\[models\]'",
                   entry(server))  # fmt: skip
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    hub = File("v.ckpt", ("hf:owner/repository/v.ckpt",))
    wanted = replace(entry(server), weights=hub, config=hub)
    nothing_cached(folder, "needs the package huggingface_hub", wanted)
