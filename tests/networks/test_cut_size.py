"""At which size a guide that can see any sees cutouts: the setting `cut_size`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.engine import Guide, Session, resume_session, save_session
from gouache.engine.loop import steps
from gouache.errors import ConfigError
from gouache.networks.models import Models
from gouache.perceptors import load_perceptor
from gouache.perceptors.photo import PhotoPerceptor
from gouache.protocols import Perceptor, Resizable
from gouache.settings.config import make_config
from tiny import TinyGenerator, TinyPerceptor, tiny_config


class AnySize(TinyPerceptor):
    """Reduces what it is shown to its one layer's size, and remembers how large that was."""

    def __init__(self, side: int = 8) -> None:
        super().__init__()
        self.image_size = side
        self.seen: list[int] = []
        self.asked: list[int] = []

    def at(self, side: int) -> AnySize:
        self.asked.append(side)
        other = AnySize(side)
        other.seen = self.seen
        return other

    def embed_image(self, image: Tensor) -> Tensor:
        self.seen.append(image.shape[-1])
        return super().embed_image(torch.nn.functional.adaptive_avg_pool2d(image, 8))


def painted(guide: Perceptor, **settings: Any) -> Tensor:
    session = Session.build(
        tiny_config(steps=2, **settings), generator=TinyGenerator(), perceptor=guide
    )
    for _ in steps(session):
        pass
    return session.picture()


def test_a_guide_of_any_size_sees_cutouts_of_that_size() -> None:
    guide = AnySize()
    painted(guide, cut_size=12)
    assert guide.asked == [12]
    assert set(guide.seen) == {12}
    guide = AnySize()
    painted(guide, cut_size=0)
    assert (guide.asked, set(guide.seen)) == ([], {8})


def test_others_see_their_own() -> None:
    assert not isinstance(TinyPerceptor(), Resizable)
    guide = TinyPerceptor()
    assert torch.equal(painted(guide, cut_size=12), painted(guide, cut_size=0))


def test_weight_and_share_stay() -> None:
    guides = [Guide(AnySize(), 0.5, 0.25), Guide(TinyPerceptor(), 2.0)]
    models = Models.load(tiny_config(cut_size=12), TinyGenerator(), guides)
    assert [g.perceptor.image_size for g in models.guides] == [12, 8]
    assert [(g.weight, g.shown) for g in models.guides] == [(0.5, 0.25), (2.0, 1.0)]
    assert models.own == ()


def test_a_run_goes_on_with_its_size(tmp_path: Path) -> None:
    """Resume is exact, and by what the state says."""
    whole = painted(AnySize(), cut_size=12)
    session = Session.build(
        tiny_config(steps=2, cut_size=12), generator=TinyGenerator(), perceptor=AnySize()
    )
    for _ in steps(session, 1):
        pass
    save_session(session, tmp_path / "state")
    guide = AnySize()
    later = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=guide)
    assert later.config.cutouts.cut_size == 12
    for _ in steps(later):
        pass
    assert set(guide.seen) == {12}
    assert torch.equal(later.picture(), whole)


@pytest.mark.parametrize("size", [-1, 1025, 2.5, "large", True])
def test_other_sizes_are_refused_in_one_line(size: object) -> None:
    with pytest.raises(ConfigError, match=r"^cut_size is [^\n]*(0 and 1024|whole number)[^\n]*$"):
        make_config(cut_size=size)


# ---- the shipped one


def test_photo_sees_any_size_and_as_many_pixels() -> None:
    photo = load_perceptor("photo")
    assert isinstance(photo, PhotoPerceptor)
    assert isinstance(photo, Resizable)
    large = photo.at(224)
    assert (photo.image_size, photo.most_cutouts) == (160, 4)
    assert (large.image_size, large.most_cutouts) == (224, 2)
    assert (photo.at(160), photo.at(224), large.at(224)) == (photo, large, large)
    assert photo.at(1024).most_cutouts == 1
    ours, theirs = dict(photo.named_parameters()), dict(large.named_parameters())
    assert all(theirs[name] is value for name, value in ours.items())
    assert torch.equal(photo.embed_text(["a zebra"]), large.embed_text(["a zebra"]))
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert torch.equal(photo.embed_image(image), large.embed_image(image))
    assert (large.name, large.fingerprint) == (photo.name, photo.fingerprint)


def test_the_defaults_look_at_large_cutouts() -> None:
    models = Models.load(make_config(prompt="a zebra"))
    assert [guide.perceptor.image_size for guide in models.guides] == [48, 224]
    assert models.own[1:] == tuple(guide.perceptor for guide in models.guides)
    again = Models.load(make_config(prompt="a zebra"))
    assert [g.perceptor for g in again.guides] == [g.perceptor for g in models.guides]
    before = Models.load(make_config(prompt="a zebra", cut_size=0))
    assert before.guides[1].perceptor.image_size == 160
