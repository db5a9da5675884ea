"""Pictures that the loop paints over: pairs of painted latents and what they should become."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gouache.engine.session import Session
from gouache.settings.config import PaintConfig
from gouache_training import overpainted
from gouache_training.drawing import read_painted
from gouache_training.overpainted import Overpainter, overpaint, recolored
from gouache_training.painted import paint_many
from training.dataset_samples import pictures
from training.test_drawing import SIDE, large


def edges(side: int, seed: int = 0) -> torch.Tensor:
    """(2,3,side,side): squares of plain colours, a sixteenth of the side wide."""
    rng = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(2, 3, 16, 16, generator=rng), side)


def test_a_clean_picture_takes_the_colours_of_the_painting() -> None:
    clean = edges(128)
    painted = 0.2 + 0.5 * F.avg_pool2d(clean, 4).flip(1)  # other colours of the same squares
    wanted, trust = recolored(clean, painted)
    assert wanted.shape == (2, 3, 128, 128)
    assert trust.shape == (2, 1, 32, 32)
    assert (wanted - (0.2 + 0.5 * clean.flip(1))).abs().mean() < 0.01  # with its edges as they were
    assert trust.min() > 0.9


def test_what_the_painting_shows_otherwise_is_not_trusted() -> None:
    clean = edges(128)
    strange = F.avg_pool2d(edges(128, seed=1), 4)
    assert recolored(clean, strange)[1].mean() < 0.5
    half = torch.cat([F.avg_pool2d(clean, 4)[..., :16], strange[..., 16:]], -1)
    trust = recolored(clean, half, radius=3)[1]
    assert trust[..., :12].mean() > 0.9 > 0.6 > trust[..., 20:].mean()


def test_even_ground_is_trusted_where_the_painting_is_even() -> None:
    plain = torch.full((1, 3, 64, 64), 0.4)
    wanted, trust = recolored(plain, torch.full((1, 3, 16, 16), 0.7))
    assert (wanted - 0.7).abs().max() < 1e-3
    assert trust.min() > 0.99
    restless = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted, trust = recolored(plain, restless)
    assert wanted.std() < 0.2 * restless.std()  # is calm
    assert 0.1 < trust.mean() < 0.3  # and so wished for a little


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overpainted, "FEWEST", 2)
    monkeypatch.setattr(overpainted, "MOST", 2)
    drawn = overpainted._settings
    small = {"perceptor": ("pocket",), "num_cutouts": 2}
    monkeypatch.setattr(overpainted, "_settings", lambda rng: drawn(rng) | small)


@pytest.mark.usefixtures("briefly")
def test_files_hold_pairs_and_are_the_same_for_a_seed(tmp_path: Path) -> None:
    for folder, seed in (("a", 4), ("b", 4), ("c", 5)):
        source = Overpainter(large(), native=32).attempt
        given = {"count": 3, "batch": 3, "device": "cpu", "seed": seed, "side": 32}
        assert paint_many(pictures(), tmp_path / folder, attempt=source, **given) == 3  # type: ignore
    one, two, other = (read_painted(tmp_path / folder, 16)[0] for folder in ("a", "b", "c"))
    assert one.wanted is not None
    assert one.trust is not None
    assert one.latents.shape == (3, 16, 4, 4)
    assert (one.wanted.shape, one.trust.shape) == ((3, 3, SIDE, SIDE), (3, 1, 32, 32))
    assert one.wanted.dtype == one.trust.dtype == torch.uint8
    assert torch.equal(one.latents, two.latents)
    assert two.wanted is not None
    assert torch.equal(one.wanted, two.wanted)
    assert other.wanted is not None
    assert not torch.equal(one.wanted, other.wanted)


@pytest.mark.usefixtures("briefly")
def test_pictures_are_painted_over_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[PaintConfig] = []
    begun = Session.build

    def build(config: PaintConfig) -> Session:
        configs.append(config)
        return begun(config)

    monkeypatch.setattr(Session, "build", build)
    Overpainter(large(), native=32).attempt(3, [1], "cpu", 32)
    (config,) = configs
    assert config.latents.start == "random"
    shown = F.avg_pool2d(edges(128), 4)[:1].expand(3, -1, -1, -1)
    latents, picture = overpaint(config, shown, [1, 3])
    again, _ = overpaint(config, shown, [1])
    later, _ = overpaint(config, shown, [3])
    assert torch.equal(latents[::2], again[::2])
    assert torch.equal(latents[1], later[1])
    assert not torch.equal(again[1], later[1])
    assert picture.shape == (3, 3, 32, 32)


@pytest.mark.usefixtures("briefly")
def test_a_batch_is_its_seeds_whatever_was_painted_before() -> None:
    source = Overpainter(large(), native=32)
    first, _, again = (source.attempt(2, seeds, "cpu", 32)[1] for seeds in ([1], [2], [1]))
    assert all(torch.equal(first[name], again[name]) for name in first)
