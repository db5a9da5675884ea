"""Each augmentation can be the only one, and there can be none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gouache.figures.cutouts import strip
from gouache.ops.images import to_pil
from gouache.settings.config import AUGMENTATIONS, PaintConfig
from tiny import tiny_session


def painted(names: str) -> Tensor:
    session = tiny_session(
        augment=names,
        whole_share=0.1,
        num_cutouts=6,
        steps=2,
        affine_probability=1.0,
        perspective_probability=1.0,
        erase_probability=1.0,
        color_probability=1.0,
        flip_probability=1.0,
    )
    for step in session:
        assert bool(step.total.isfinite().all())
    return session.latent()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_alone_paints_other_than_none(name: str) -> None:
    assert not torch.equal(painted(name), painted("none"))


def test_their_order_does_not_matter() -> None:
    assert torch.equal(painted("affine,perspective,noise"), painted("noise,affine,perspective"))


def test_the_strip_has_a_row_for_each() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = to_pil(torch.rand(3, 40, 40, generator=generator))
    config = PaintConfig().cutouts
    whole = strip(picture, config, seed=1)
    assert whole.tobytes() == strip(picture, config, seed=1).tobytes()
    assert whole.tobytes() != strip(picture, config, seed=2).tobytes()
    assert whole.height > (len(AUGMENTATIONS) + 2) * 96
