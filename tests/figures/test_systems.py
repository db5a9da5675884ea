"""Systems beside ours: best of five, missing packages, and what the adapters ask of theirs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gouache.engine.judging import similarity
from gouache.errors import ModelError
from gouache.figures.making import Made
from gouache.figures.recipe import OURS, Cell, Recipe
from gouache.systems.known import NEEDS, System, available, systems
from tiny import TinyPerceptor

CPU = torch.device("cpu")


class Fake:
    """Paints flat colours that its seed decides."""

    def __init__(self, device: str) -> None:
        self.asked: list[tuple[str, int]] = []

    @property
    def settings(self) -> dict[str, Any]:
        return {"kind": "flat"}

    def paint(self, prompt: str, seed: int) -> Image.Image:
        self.asked.append((prompt, seed))
        color = torch.randint(256, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
        return Image.new("RGB", (40, 40), tuple(color))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    one = Fake("cpu")
    systems.names()
    monkeypatch.setitem(systems._references, "fake", lambda device: one)
    return one


def test_a_fake_keeps_the_protocol(fake: Fake) -> None:
    assert isinstance(fake, System)


def test_the_best_of_five_by_the_guide_is_shown(painted: Callable[..., Made], fake: Fake) -> None:
    cells = [Cell("an owl", "fake", system="fake"), Cell("an owl", OURS)]
    recipe = Recipe("13", "t", lambda order: cells)
    made = painted(recipe, seeds=(2,))
    assert fake.asked == [("an owl", seed) for seed in (10, 11, 12, 13, 14)]
    liked = [
        similarity(TinyPerceptor(), Fake("").paint("an owl", seed), "an owl", CPU)
        for seed in range(10, 15)
    ]
    entry = json.loads(made.record.read_text())["pictures"][0]
    assert entry["scores"]["guide"] == round(max(liked), 4)
    best = 10 + liked.index(max(liked))
    assert Image.open(made.pictures[0]).tobytes() == Fake("").paint("", best).tobytes()
    told = made.table.read_text()
    assert "| fake | 1 |" in told
    assert "painted 5 for each picture" in told
    assert painted(recipe, seeds=(2,)).painted == 0
    assert painted(recipe, seeds=(2,), tries=1).painted == 1  # ours is not picked from several


def test_similarity_is_the_cosine_of_the_whole_picture() -> None:
    perceptor = TinyPerceptor()
    picture = Image.effect_noise((8, 8), 90).convert("RGB")
    pixels = torch.tensor(np.array(picture)).float().view(1, 8, 8, 3).movedim(-1, 1) / 255
    expected = perceptor.embed_image(pixels) @ perceptor.embed_text(["an owl"]).T
    assert similarity(perceptor, picture, "an owl", CPU) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_missing_package_is_one_clear_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, install = NEEDS[name]
    for module in [package, *[m for m in sys.modules if m.startswith(f"{package}.")]]:
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(ModelError) as caught:
        systems.get(name)("cpu")
    message = str(caught.value)
    assert f"needs the package {package}" in message
    assert install in message
    assert "\n" not in message
    assert available() == []


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """pretend("a.b", name=value): such modules can be imported."""

    def add(path: str, **names: Any) -> None:
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            module = ModuleType(".".join(parts[:end]))
            module.__path__ = []  # type: ignore[attr-defined]
            if module.__name__ not in sys.modules:
                monkeypatch.setitem(sys.modules, module.__name__, module)
        for name, value in names.items():
            setattr(sys.modules[path], name, value)

    return add


@pytest.fixture(autouse=True)
def _global_stream_untouched() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())
    assert torch.is_grad_enabled()


def test_the_port_of_dalle_mega_keeps_its_weights_in_the_cache(
    pretend: Callable[..., None],
) -> None:
    built: list[dict[str, Any]] = []

    class MinDalle:
        def __init__(self, **told: Any) -> None:
            built.append(told)

        def generate_image(self, text: str, seed: int, grid_size: int, is_verbose: bool) -> Any:
            assert (text, grid_size) == ("an owl", 1)
            return Image.new("RGBA", (8, 8), (seed, 0, 0, 255))

    pretend("min_dalle", MinDalle=MinDalle)
    picture = systems.get("min-dalle")("cpu").paint("an owl", 7)
    assert picture.getpixel((0, 0)) == (7, 0, 0)
    assert picture.mode == "RGB"
    assert built[0]["models_root"].endswith("min-dalle")
    assert built[0]["is_mega"] is True
