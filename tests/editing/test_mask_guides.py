"""Masks by several guides: who knows a phrase is asked, and who does not changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from gouache.apps.cli.main import run
from gouache.editing import EditConfig, find_mask
from gouache.editing.crops import Crops, shares
from gouache.editing.mask import score
from gouache.engine import Guide
from gouache.errors import ConfigError, PromptError
from gouache.perceptors import load_perceptor
from gouache.protocols import Classifying, SelfAware
from tiny import TinyPerceptor

SCENE = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes" / "01.png"
KINDS = ("red", "green", "blue")
ANY = EditConfig(min_score=0.0, min_area=0.0, colors=False)


class Colours:
    """Tells three colours apart, and knows of any text as much as it is told to."""

    name = "colours"
    fingerprint = "c" * 64
    image_size = 8
    embed_dim = 3
    most_cutouts = 2
    bank = None
    device = torch.device("cpu")

    def __init__(self, knows: float = 1.0) -> None:
        self.knows, self.looked = knows, 0
        self.kinds = torch.eye(3)

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.full((len(texts),), self.knows)

    def embed_image(self, image: Tensor) -> Tensor:
        self.looked += len(image)
        return F.normalize(image.mean((2, 3)) + 1e-6, dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        rows = [[float(kind in text) for kind in KINDS] for text in texts]
        return F.normalize(torch.tensor(rows) + 1e-6, dim=-1)


@pytest.fixture
def halves() -> Image.Image:
    """Red on the left, green on the right."""
    picture = Image.new("RGB", (48, 32), (220, 20, 20))
    picture.paste((20, 200, 20), (24, 0, 48, 32))
    return picture


def guided(*guides: Any, picture: Image.Image, phrase: str = "a green thing") -> Any:
    given = [guide if isinstance(guide, Guide) else Guide(guide) for guide in guides]
    return score(picture, phrase, given, ANY)


def same(one: Any, other: Any) -> bool:
    return (
        torch.equal(one.scores, other.scores)
        and torch.equal(one.selected, other.selected)
        and one.seen == other.seen
    )


@pytest.mark.parametrize("threshold", ["auto", "paper"])
@pytest.mark.parametrize("first", [False, True])
def test_who_does_not_know_the_phrase_changes_nothing(
    halves: Image.Image, threshold: str, first: bool
) -> None:
    leading, silent = TinyPerceptor(bank_size=9), Colours(knows=0.05)
    config = ANY.updated(threshold=threshold)
    guides = [Guide(leading), Guide(silent, 5.0)]
    both = score(halves, "a green thing", guides[::-1] if first else guides, config)
    assert same(both, score(halves, "a green thing", leading, config))
    assert not silent.looked


def test_who_has_nothing_to_compare_with_only_leads(halves: Image.Image) -> None:
    leading, other = TinyPerceptor(bank_size=9), TinyPerceptor(seed=5)
    assert same(guided(leading, other, picture=halves), guided(leading, picture=halves))
    assert guided(other, leading, picture=halves).seen == 1.0


def test_where_nobody_knows_it_all_are_asked(halves: Image.Image) -> None:
    alone = Colours(knows=0.0)
    assert same(guided(alone, picture=halves), guided(Colours(), picture=halves))


@pytest.mark.parametrize(("phrase", "side"), [("a green thing", 1), ("a red thing", 0)])
def test_who_knows_it_says_where(halves: Image.Image, phrase: str, side: int) -> None:
    undecided, colours = TinyPerceptor(bank_size=9), Guide(Colours(), 8.0)
    alone = guided(Colours(), picture=halves, phrase=phrase).selected.float()
    both = guided(undecided, colours, picture=halves, phrase=phrase).scores
    for found in (alone, both):
        parts = [float(part.mean()) for part in found.split(24, 1)]
        assert parts[side] > 3 * parts[1 - side]


def test_weights_say_how_much_the_others_count(halves: Image.Image) -> None:
    leading = TinyPerceptor(bank_size=9)
    alone = guided(leading, picture=halves).scores
    left = [
        float(guided(leading, Guide(Colours(), weight), picture=halves).scores[:, :16].mean())
        for weight in (1e-6, 0.5, 2.0, 8.0)
    ]
    assert left[0] == pytest.approx(float(alone[:, :16].mean()), abs=1e-3)
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.8 * left[0]  # where the other one sees nothing green


def test_one_that_says_nothing_of_itself_is_taken_at_its_word() -> None:
    plain = TinyPerceptor(bank_size=9)
    assert not isinstance(plain, SelfAware)
    assert not isinstance(plain, Classifying)
    assert isinstance(Colours(), SelfAware)
    assert isinstance(Colours(), Classifying)


@given(st.integers(0, 2**31), st.integers(2, 9), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_beliefs_in_all_kinds_add_up(seed: int, kinds: int, count: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    table = torch.eye(kinds)
    seen = F.normalize(torch.randn(count, kinds, generator=rng), dim=-1)
    crops = Crops((8, 8), torch.zeros(count, 3, dtype=torch.long), seen)
    each = torch.stack([shares(crops, table[n : n + 1], table) for n in range(kinds)])
    assert bool((each >= 0).all())
    torch.testing.assert_close(each.sum(0), torch.ones(count))
    # A phrase that means two of them equally is either of them.
    two = F.normalize(table[:2].sum(0, keepdim=True), dim=-1)
    torch.testing.assert_close(shares(crops, two, table), each[:2].sum(0))


def test_photo_lists_what_it_tells_apart() -> None:
    photo: Any = load_perceptor("photo")
    assert isinstance(photo, Classifying)
    kinds = photo.kinds
    assert kinds.shape == (1000, photo.embed_dim)
    torch.testing.assert_close(kinds.norm(dim=-1), torch.ones(1000))
    alike = kinds @ kinds.T - torch.eye(1000)
    assert float(alike.abs().max()) < 0.01
    assert float((photo.embed_text(["a lighthouse"]) @ kinds.T).max()) > 0.9


def test_names_with_weights_and_a_phrase_that_photo_does_not_know() -> None:
    alone = find_mask(SCENE, "a key", min_score=0.0)
    both = find_mask(SCENE, "a key", perceptor=["pocket", "photo:0.5"], min_score=0.0)
    assert same(alone, both)


def test_photo_alone_refuses_what_it_does_not_see() -> None:
    blank = Image.new("RGB", (48, 32), (128, 128, 128))
    with pytest.raises(Exception, match="is not seen anywhere"):
        find_mask(blank, "a lighthouse", perceptor="photo")


def test_mistakes_are_one_line(halves: Image.Image) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        find_mask(halves, "a cat", perceptor=[])
    with pytest.raises(ConfigError, match="weight of the perceptor"):
        find_mask(halves, "a cat", perceptor=["pocket", "photo:0"])
    with pytest.raises(PromptError, match=r"pocket and photo know no word"):
        find_mask(SCENE, "ヴァ", perceptor=["pocket", "photo"])


def test_the_command_takes_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mask.png"
    guides = ["--perceptor", "pocket", "--perceptor", "photo:0.5"]
    assert run(["mask", str(SCENE), "a key", "--out", str(out), "--min-score", "0", "--json",
                *guides]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["share"] == round(find_mask(SCENE, "a key", min_score=0.0).share, 4)
    assert run(["mask", str(SCENE), "a key", "--perceptor", "photo:-1"]) == 2
