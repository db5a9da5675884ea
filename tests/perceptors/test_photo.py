"""The photo guide that is shipped: what it sees, what it reads, and what it says it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gouache.errors import ModelError
from gouache.perceptors import load_perceptor
from gouache.perceptors.photo import PhotoConfig, PhotoPerceptor, load_photo
from gouache.perceptors.truncation import TruncationWarning
from gouache.protocols import Perceptor, SelfAware
from gouache.weights.shipped import PHOTO, REFEREE


@pytest.fixture(scope="module")
def photo() -> PhotoPerceptor:
    found = load_perceptor("photo")
    assert isinstance(found, PhotoPerceptor)
    return found


def test_it_keeps_the_contract(photo: PhotoPerceptor) -> None:
    assert isinstance(photo, Perceptor)
    assert isinstance(photo, SelfAware)
    image = torch.rand(2, 3, photo.image_size, photo.image_size, requires_grad=True)
    seen = photo.embed_image(image)
    assert seen.shape == (2, photo.embed_dim)
    torch.testing.assert_close(seen.norm(dim=-1), torch.ones(2))
    seen[:, 0].sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().amax()) > 0
    told = photo.embed_text(["a castle", "a zebra"])
    torch.testing.assert_close(told.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize(
    "text",
    [
        *("a castle at night, watercolour", "a zebra", "a dog in the style of van gogh"),
        *("a school bus", "two goldfish in a bowl", "a lighthouse at dusk", "a guitar"),
        *("a pirate ship in a storm", "an owl made of glass", "mushrooms in a dark forest"),
    ],
)
def test_it_knows_what_photographs_show(photo: PhotoPerceptor, text: str) -> None:
    assert float(photo.confidence([text])) > 0.6


@pytest.mark.parametrize(
    "text",
    [
        *("a unicorn", "a rainbow", "a crescent moon", "a snowman", "effervescent hope", "a key"),
        *("a rose", "a crown", "a heart", "the end of the world", "trending on artstation"),
    ],
)
def test_it_keeps_silent_on_what_it_does_not_know(photo: PhotoPerceptor, text: str) -> None:
    assert float(photo.confidence([text])) < 0.1


def test_words_lie_where_their_class_is(photo: PhotoPerceptor) -> None:
    """Of a few classes by their number in ImageNet: castle, zebra, strawberry, violin."""
    told = photo.embed_text(["a castle at night", "a zebra in the snow", "strawberries", "violin"])
    for part in told.chunk(len(photo.trunks), -1):
        assert part.argmax(-1).tolist() == [483, 340, 949, 889]


def test_its_classifiers_count_alike(photo: PhotoPerceptor) -> None:
    """An embedding is what each sees, of equal lengths: none is heard more for being louder."""
    image = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    parts = photo.embed_image(image).chunk(3, -1)
    assert len(photo.trunks) == 3
    for trunk, part in zip(photo.trunks, parts, strict=True):
        torch.testing.assert_close(part.norm(dim=-1), torch.full((3,), 3**-0.5))
        scores = trunk(image)
        own = torch.nn.functional.normalize(scores - scores.mean(-1, keepdim=True), dim=-1)
        torch.testing.assert_close(part, own * 3**-0.5, rtol=1e-4, atol=1e-5)


def test_classifiers_of_different_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in their classes"):
        PhotoConfig.from_dict({"trunks": [{"classes": 3}, {"classes": 4}]})


def test_half_precision_sees_the_same(photo: PhotoPerceptor) -> None:
    image = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    fine = photo.embed_image(image)
    rough = load_photo(PHOTO)
    rough.prepare(torch.bfloat16)
    assert float((fine * rough.embed_image(image)).sum(-1).min()) > 0.97


def test_a_long_text_is_cut_with_a_warning(photo: PhotoPerceptor) -> None:
    with pytest.warns(TruncationWarning):
        photo.embed_text(["castle " * 60])
    assert photo.confidence(["castle " * 60]).shape == (1,)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / PHOTO.name
    damaged.write_bytes(PHOTO.read_bytes()[:100_000])
    with pytest.raises(ModelError) as caught:
        load_photo(damaged)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="is not a photo perceptor"):
        load_photo(REFEREE)
