"""The Hugging Face hub's own client against a server that speaks as much of its language as needed.

In processes of their own: the client reads its variables when it is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gouache.weights.hub import choose
from weights.flaky import Answer, Flaky, flaky_server, serve, status

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLIP = {
    "config.json": b'{"model_type": "clip"}',
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "merges.txt": b"a b",
    "pytorch_model.bin": b"a pickle that safetensors make superfluous",
    "model.safetensors": b"weights" * 1000,
    "tf_model.h5": b"of another framework",
    "README.md": b"words",
}

PROGRAM = f"""
import json, sys
from gouache.errors import GouacheError
from gouache.weights import cache
from gouache.weights.catalogue import Entry, File, from_hub

class Watch:
    seen = {{}}
    def note(self, message): print("note:", message)
    def progress(self, label, done, total): self.seen[label] = done

def convert(weights, config, target):  # as quick as can be: no torch
    target.write_bytes(weights.read_bytes()[:2] + config.read_bytes()[:5])
    return cache.Converted({{}}, {{}})

cache.converters.add("copy", convert)
kind, = sys.argv[1:]
if kind == "perceptor":
    entry = from_hub("someone/clip")
else:
    sha256 = None if kind == "pin" else kind
    weights = File("v.ckpt", ("hf:someone/vqgan@{COMMIT}/sub/v.ckpt",), sha256)
    config = File("v.yaml", ("hf:someone/vqgan@{COMMIT}/sub/v.yaml",))
    entry = Entry("tiny-f4", "generator", "copy", weights=weights, config=config)
try:
    print(cache.obtain(entry, Watch()))
    print("progress:", json.dumps(Watch.seen))
except GouacheError as error:
    print("error:", error)
"""


def repository(data: bytes) -> Answer:
    """A file as the hub sends it."""
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    return serve(data, etag=etag, X_Repo_Commit=COMMIT)


def lfs(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}


def offer(server: Flaky, repo: str, files: dict[str, bytes], revision: str = COMMIT) -> None:
    siblings = [
        {"rfilename": name, "size": len(data), **({"lfs": lfs(data)} if len(data) > 99 else {})}
        for name, data in files.items()
    ]
    info = {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
    listing = serve(json.dumps(info).encode(), etag=None, Content_Type="application/json")
    server.routes[f"/api/models/{repo}/revision/main"] = [listing]
    server.routes[f"/api/models/{repo}"] = [listing]
    for name, data in files.items():
        for asked in ("main", COMMIT):
            server.routes[f"/{repo}/resolve/{asked}/{name}"] = [repository(data)]


@pytest.fixture
def server() -> Iterator[Flaky]:
    with flaky_server() as flaky:
        offer(flaky, "someone/clip", CLIP)
        files = {f"sub/v{s}": (GOLDEN / f"taming_vq{s}").read_bytes() for s in (".ckpt", ".yaml")}
        offer(flaky, "someone/vqgan", files)
        yield flaky


class Machine:
    """Runs `obtain` in a new process with an empty cache and hub."""

    def __init__(self, server: Flaky, folder: Path) -> None:
        self.cache, self.hub = folder / "cache", folder / "hf" / "hub"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "GOUACHE_CACHE": str(self.cache),
            "HF_HOME": str(folder / "hf"),
            "HF_ENDPOINT": server.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def obtain(self, kind: str, **env: str) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, kind]
        done = subprocess.run(
            command, env={**self.env, **env}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def blobs(self) -> list[Path]:
        return [path for path in self.hub.glob("*/blobs/*") if path.is_file()]


@pytest.fixture
def machine(server: Flaky, tmp_path: Path) -> Machine:
    return Machine(server, tmp_path)


def test_a_perceptor_is_a_folder_of_what_it_needs(server: Flaky, machine: Machine) -> None:
    note, path, progress = machine.obtain("perceptor")
    assert note == "note: fetching someone/clip from the Hugging Face hub: 7.0 kB"
    names = {item.name for item in Path(path).iterdir()}
    assert names == set(CLIP) - {"pytorch_model.bin", "tf_model.h5", "README.md"}
    assert (Path(path) / "model.safetensors").read_bytes() == CLIP["model.safetensors"]
    assert json.loads(progress.removeprefix("progress: "))["model.safetensors"] == 7000
    record = json.loads((machine.cache / "models" / "someone--clip" / "model.json").read_bytes())
    assert record["kind"] == "perceptor"
    assert COMMIT in record["source"]
    assert set(record["sums"]) == names
    # Offline, what is here is found: by our record, and without it by the hub's cache.
    server.routes.clear()
    assert machine.obtain("perceptor", HF_HUB_OFFLINE="1")[0] == path
    (machine.cache / "models" / "someone--clip" / "model.json").unlink()
    assert machine.obtain("perceptor", HF_HUB_OFFLINE="1")[0] == path
    (machine.cache / "models" / "someone--clip" / "model.json").unlink()
    assert machine.obtain("perceptor")[0] == path  # the server answers 404 to everything


def test_a_perceptor_that_changed_since_is_refused(server: Flaky, machine: Machine) -> None:
    path = Path(machine.obtain("perceptor")[1])
    (machine.cache / "models" / "someone--clip" / "model.json").unlink()
    (path / "model.safetensors").resolve().write_bytes(b"other")
    [line] = machine.obtain("perceptor", HF_HUB_OFFLINE="1")
    assert "when it was first fetched" in line


def test_a_perceptor_with_another_sum_than_the_hub_states(server: Flaky, machine: Machine) -> None:
    wrong = repository(b"WEIGHTS" * 1000)
    server.routes[f"/someone/clip/resolve/{COMMIT}/model.safetensors"] = [wrong]
    [_, line] = machine.obtain("perceptor")
    assert "on the hub; it was removed, try again" in line
    offer(server, "someone/clip", CLIP)
    path = machine.obtain("perceptor")[1]
    assert (Path(path) / "model.safetensors").read_bytes() == CLIP["model.safetensors"]


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_without_config_or_weights_there_is_no_perceptor(
    server: Flaky, machine: Machine, missing: str
) -> None:
    files = {k: v for k, v in CLIP.items() if k not in (missing, "pytorch_model.bin")}
    offer(server, "someone/clip", files)
    [line] = machine.obtain("perceptor")
    assert "error: someone--clip could not be fetched" in line
    assert f"in {machine.cache / 'downloads' / 'someone--clip'} and try again" in line


def test_a_perceptor_placed_by_hand(server: Flaky, machine: Machine) -> None:
    [line] = machine.obtain("perceptor", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in line
    folder = machine.cache / "downloads" / "someone--clip"
    for name, data in CLIP.items():
        (folder / name).write_bytes(data)
    assert machine.obtain("perceptor", HF_HUB_OFFLINE="1")[0] == str(folder)
    assert server.requests == []


def test_a_generator_is_converted_and_its_pickle_removed(machine: Machine) -> None:
    note, path, _ = machine.obtain("pin")
    assert note == "note: fetching v.ckpt of tiny-f4: 4.2 MB"
    assert Path(path).read_bytes() == b"PKmodel"
    assert machine.blobs() == []


def test_what_was_in_the_hub_before_stays_there(server: Flaky, machine: Machine) -> None:
    fetch = (
        "from huggingface_hub import hf_hub_download as f; "
        f"[f('someone/vqgan', 'sub/v' + s, revision='{COMMIT}') for s in ('.ckpt', '.yaml')]"
    )
    subprocess.run([sys.executable, "-c", fetch], env=machine.env, check=True, timeout=60)
    server.routes.clear()
    server.requests.clear()
    machine.obtain("pin", HF_HUB_OFFLINE="1")
    assert server.requests == []
    assert len(machine.blobs()) == 2


def test_another_sum_than_the_published_one(machine: Machine) -> None:
    [*_, line] = machine.obtain("0" * 64)
    assert f"expected {'0' * 64}" in line
    assert not [blob for blob in machine.blobs() if blob.stat().st_size > 1000]
    assert not (machine.cache / "models").exists()


@pytest.mark.parametrize("code", [401, 404])
def test_a_hub_that_refuses(server: Flaky, machine: Machine, code: int) -> None:
    for path in server.routes:
        server.routes[path] = [status(code)]
    for kind in ("perceptor", "pin"):
        [line] = machine.obtain(kind)
        assert line.startswith("error: ")
        assert "could not be fetched (hf:someone/" in line
        assert len(line) < 700


def _names(*names: str) -> Any:
    return choose(["README.md", "config.json", *names])


def test_which_files_of_a_repository() -> None:
    assert _names("model.safetensors", "pytorch_model.bin") == ["config.json", "model.safetensors"]
    assert _names("pytorch_model.bin", "vocab.json") == [
        "config.json",
        "vocab.json",
        "pytorch_model.bin",
    ]
    pieces = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    chosen = _names("model.safetensors.index.json", *pieces, "pytorch_model-00001-of-00001.bin")
    assert chosen == ["config.json", "model.safetensors.index.json", *pieces]
    both = ["config.json", "open_clip_config.json", "open_clip_model.safetensors"]
    both += ["pytorch_model.bin", "merges.txt"]
    assert choose(both) == ["config.json", "merges.txt", "pytorch_model.bin"]
    robust = ["open_clip_config.json", "merges.txt", "open_clip_model.safetensors"]
    assert choose(both, "open_clip") == choose(both[1:3] + both[4:]) == robust
    assert _names() == []
    index = ["config.json", "model.safetensors.index.json"]
    pieces = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert choose([*index, *pieces]) == [*index, *pieces]
    assert choose([*index, *pieces[:2]]) == choose(index) == []  # half fetched
    assert choose(["model.safetensors"]) == []
