"""Networks are loaded once for all who ask, kept in bounds, and changed by nobody."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gouache
from gouache.apps.studio.asking import check_words
from gouache.apps.studio.orders import Order
from gouache.apps.studio.worker import Studio
from gouache.editing import edit, find_mask
from gouache.engine import Session
from gouache.figures.painters import Painters
from gouache.figures.recipe import Cell
from gouache.generators import generators
from gouache.generators.vqgan import VQGAN
from gouache.halting import Halted, halting
from gouache.networks import pool
from gouache.networks.models import Models, load_guides
from gouache.networks.pool import Pool, num_bytes, shared_generator, shared_perceptor
from gouache.perceptors import perceptors
from gouache.priors import loading
from gouache.priors.loading import Proposer
from gouache.settings.config import make_config
from gouache.weights import cache
from gouache.weights.saving import save_model
from studio_tiny import reaches
from tiny import TINY_VQGAN, TinyGenerator, TinyPerceptor, tiny_config

KIB = 1 << 10
NAMED: dict[str, Any] = {"generator": "tiny", "perceptor": ("tiny", "other:0.5")}
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))


def weights(kib: int) -> nn.Module:
    """A network of so many KiB."""
    return nn.Linear(KIB // 4, kib, bias=False)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tiny models under names; which were loaded, in their order."""
    monkeypatch.setattr(pool, "shared", Pool(1 << 30))
    monkeypatch.setattr(loading, "shared", pool.shared)
    generators.names(), perceptors.names()
    found: list[str] = []

    def named(name: str, build: Any) -> Any:
        found.append(name)
        return build

    monkeypatch.setitem(
        generators._references, "tiny", lambda device, dtype: named("tiny", TinyGenerator())
    )
    for name in ("tiny", "other"):
        monkeypatch.setitem(
            perceptors._references,
            name,
            lambda device, name=name: named(f"guide {name}", TinyPerceptor(5)),
        )
    return found


def test_each_device_has_its_own(loads: list[str]) -> None:
    first = shared_perceptor("tiny", "cpu")
    assert shared_perceptor("tiny", "meta") is not first
    assert shared_perceptor("tiny", "cpu") is first
    assert loads == ["guide tiny"] * 2


# ---- the pool by itself


def test_what_was_loaded_is_found_again() -> None:
    kept = Pool(1 << 20)
    first = kept.get("a", lambda: weights(1), "cpu")
    assert kept.get("a", lambda: weights(1), "cpu") is first
    assert kept.get("b", lambda: weights(1), "cpu") is not first
    assert kept.size() == 2 * KIB
    kept.clear()
    assert kept.size() == 0
    assert kept.get("a", lambda: weights(1), "cpu") is not first


def test_the_least_recently_used_goes_first() -> None:
    kept, made = Pool(4 * KIB), []

    def get(name: str, kib: int = 1) -> None:
        def load() -> nn.Module:
            made.append(name)
            return weights(kib)

        kept.get(name, load, "cpu")
        gc.collect()

    for name in "abcd":
        get(name)
    get("a")  # now b is the oldest
    get("e")
    assert kept.size() == 4 * KIB
    get("a")
    get("b")
    assert made == list("abcdeb")
    get("f", 3)  # as large as three
    assert kept.size() <= 4 * KIB
    get("g", 5)  # too large to be kept at all
    assert kept.size() == 0
    get("g", 5)
    assert made == list("abcdebfgg")


def test_each_device_has_a_bound_of_its_own() -> None:
    kept = Pool(2 * KIB)
    for name in "ab":
        for device in ("cpu", "meta"):
            kept.get((name, device), lambda: weights(1), device)
    assert kept.size() == 4 * KIB


def test_what_somebody_holds_is_never_loaded_twice() -> None:
    kept = Pool(0)
    mine = kept.get("a", lambda: weights(1), "cpu")
    assert kept.size() == 0
    assert kept.get("a", lambda: weights(1), "cpu") is mine
    number = id(mine)
    del mine
    gc.collect()
    again = kept.get("a", lambda: nn.Identity(), "cpu")
    assert isinstance(again, nn.Identity), number


def test_another_stamp_is_another_network() -> None:
    kept = Pool(1 << 20)
    stamps = iter([1, 1, 2, None, 5, 5, 5])
    first, same, changed = (
        kept.get("a", lambda: weights(1), "cpu", lambda: next(stamps)) for _ in range(3)
    )
    assert first is same
    assert changed is not first
    assert kept.size() == KIB
    # What is fetched only when it is loaded has its stamp afterwards.
    fetched = kept.get("b", lambda: weights(1), "cpu", lambda: next(stamps))
    assert kept.get("b", lambda: weights(1), "cpu", lambda: next(stamps)) is fetched


def test_threads_that_ask_at_once_share_one_load() -> None:
    kept, made, going = Pool(1 << 20), [], threading.Event()

    def load() -> nn.Module:
        made.append(1)
        going.wait(10)
        return weights(1)

    found: list[nn.Module] = []
    threads = [
        threading.Thread(target=lambda: found.append(kept.get("a", load, "cpu"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    other = kept.get("b", lambda: weights(2), "cpu")  # nobody waits for what he did not ask for
    going.set()
    for thread in threads:
        thread.join(10)
    assert made == [1]
    assert len(found) == 6
    assert {id(one) for one in found} == {id(found[0])}
    assert other is not found[0]


def test_a_failed_load_leaves_the_next_one_to_try() -> None:
    kept = Pool(1 << 20)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0, "cpu")
    assert isinstance(kept.get("a", lambda: weights(1), "cpu"), nn.Module)


def test_who_is_not_wanted_any_more_does_not_wait() -> None:
    kept, going, begun = Pool(1 << 20), threading.Event(), threading.Event()

    def load() -> nn.Module:
        begun.set()
        going.wait(10)
        return weights(1)

    thread = threading.Thread(target=lambda: kept.get("a", load, "cpu"))
    thread.start()
    assert begun.wait(10)
    with halting(lambda: True), pytest.raises(Halted):
        kept.get("a", load, "cpu")
    going.set()
    thread.join(10)
    assert kept.size() == KIB


def test_bytes_of_networks_of_any_kind() -> None:
    class Wrapped:
        def __init__(self) -> None:
            self.model, self.table, self.name = weights(1), torch.zeros(256), "wrapped"

    assert num_bytes(weights(3)) == 3 * KIB
    assert num_bytes(Wrapped()) == 2 * KIB
    assert num_bytes(object()) == 0


def test_networks_that_are_loaded_in_inference_mode_can_be_painted_with() -> None:
    with torch.inference_mode():
        made = Pool().get("a", lambda: weights(1), "cpu")
    assert not any(parameter.is_inference() for parameter in made.parameters())


# ---- every face


def few(**settings: Any) -> dict[str, Any]:
    return {
        **NAMED, "size": (32, 24), "steps": 2, "num_cutouts": 2, "start": "random",
        "start_tries": 1, "start_steps": 0, "templates": False, "device": "cpu",
        "precision": "fp32", **settings,
    }  # fmt: skip


def test_edits_and_paintings_share_their_networks(loads: list[str]) -> None:
    gouache.paint("a cat", **few())
    edit(PICTURE, "a dog", **few())
    edit(PICTURE, "a dog", **few(), replace="a cat", min_score=0.0)
    assert sorted(loads) == ["guide other", "guide tiny", "tiny"]


def test_the_weights_of_guides_are_each_runs_own(loads: list[str]) -> None:
    first = Models.load(tiny_config(generator="tiny", perceptor=("tiny", "other:0.5")))
    again = Models.load(tiny_config(generator="tiny", perceptor=("other:2", "tiny")))
    assert [guide.weight for guide in (*first.guides, *again.guides)] == [1, 0.5, 2, 1]
    assert first.guides[0].perceptor is again.guides[1].perceptor
    assert first.generator is again.generator
    assert first.memory is not again.memory
    assert len(loads) == 3


def test_four_runs_of_a_studio_load_each_network_once(tmp_path: Path, loads: list[str]) -> None:
    studio = Studio(tmp_path)
    try:
        for number in range(4):
            run = studio.submit(Order(make_config(prompt="a cat", **few(seed=number))), "me")
            reaches(run, "done", "failed")
            assert run.status == "done", run.error
            check_words(run, "a dog")  # asks the guides of the run
    finally:
        studio.close()
    assert sorted(loads) == ["guide other", "guide tiny", "tiny"]


def test_figures_share_them_too(loads: list[str]) -> None:
    for _ in range(2):
        painters = Painters("pocket", few(), judge="")
        painters.paint(Cell("a cat"), 0, None)
    assert sorted(loads) == ["guide other", "guide tiny", "tiny"]


def test_masks_find_their_guides_again(loads: list[str]) -> None:
    for _ in range(2):
        find_mask(PICTURE, "a cat", perceptor="tiny", threshold="paper", deviations=-1.0)
        load_guides([("tiny", 1.0)])
    assert loads == ["guide tiny"]


def test_given_models_are_nobody_elses(loads: list[str]) -> None:
    mine, eyes = TinyGenerator(), TinyPerceptor()
    Session.build(tiny_config(**NAMED), generator=mine, perceptor=eyes)
    assert pool.shared.size() == 0
    found = Models.load(tiny_config(**NAMED))
    assert found.generator is not mine
    assert len(loads) == 3


def test_the_prior_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "shared", Pool(1 << 30))
    first, second = Proposer(), Proposer()
    assert first.prior is second.prior
    assert first.generator is second.generator
    assert 4_000_000 < loading.shared.size() < 90_000_000


# ---- what is shared stays as it is


def sums(model: Any) -> str:
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(f"{name} {value.dtype}".encode())
        total.update(value.double().contiguous().numpy().tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_painting_changes_no_network(precision: str) -> None:
    config = tiny_config(perceptor=("pocket", "photo"), precision=precision, steps=(2,))
    models = Models.load(config)
    networks = [models.generator, *(guide.perceptor for guide in models.guides)]
    before = [sums(network) for network in networks]
    session = Session.build(config)
    assert session.models.generator is models.generator
    session.models.memory.lower(8)
    session.models.memory.tiled = True
    for _ in session:
        pass
    edit(PICTURE, "a dog", perceptor=["pocket", "photo"], precision=precision, steps=1)
    assert [sums(network) for network in networks] == before
    assert Models.load(config).memory.recompute is False


def test_each_precision_has_networks_of_its_own() -> None:
    half, whole, plain = (
        shared_perceptor("pocket", "cpu", dtype) for dtype in (torch.bfloat16, torch.float32, None)
    )
    assert len({id(half), id(whole), id(plain)}) == 3
    kinds = [{p.dtype for p in one.parameters()} for one in (half, whole, plain)]  # type: ignore[attr-defined]
    assert kinds == [{torch.bfloat16, torch.float32}, {torch.float32}, {torch.float32}]
    assert gouache.load_perceptor("pocket") is not plain


# ---- files


def save(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    save_model(path, VQGAN(TINY_VQGAN).state_dict(), TINY_VQGAN.to_dict())


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save(path, 0)
    first = shared_generator(str(path))
    assert shared_generator(str(path)) is first
    told = path.stat()
    time.sleep(0.02)  # file systems count in ticks
    save(tmp_path / "new.safetensors", 1)
    shutil.copyfile(tmp_path / "new.safetensors", path)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))  # the same length and time
    changed = shared_generator(str(path))
    assert changed is not first
    assert changed.fingerprint != first.fingerprint
    assert shared_generator(str(path)) is changed
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "picture.png").write_bytes(b"x")
    assert pool.version(tmp_path / "picture.png") is not None
    path.unlink()
    with pytest.raises(gouache.GouacheError, match="mine"):
        shared_generator(str(path))


def test_a_folder_that_was_changed_is_read_again(tmp_path: Path) -> None:
    before = pool.version(tmp_path)
    assert before is None
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "config.json").write_text("{}")
    first = pool.version(tmp_path)
    assert first is not None
    (tmp_path / "picture.png").write_bytes(b"x")
    assert pool.version(tmp_path) == first
    (tmp_path / "inner" / "model.safetensors").write_bytes(b"x")
    assert pool.version(tmp_path) != first


def test_an_added_model_that_was_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    for seed in (0, 1):
        save(tmp_path / f"{seed}.safetensors", seed)
    cache.add("mine", "generator", "vqgan", tmp_path / "0.safetensors")
    first = shared_generator("mine")
    assert shared_generator("mine") is first
    cache.remove("mine")
    cache.add("mine", "generator", "vqgan", tmp_path / "1.safetensors")
    assert shared_generator("mine").fingerprint != first.fingerprint
