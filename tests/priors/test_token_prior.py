"""The token prior: what it may see, what it must not, and that every cell stays in its place."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import nn

from gouache.priors.token_prior import TokenPriorConfig
from priors.tiny_prior import TINY, codes, random, text, tiny


def test_logits_of_every_cell() -> None:
    logits = tiny()(codes(), *text())
    assert logits.shape == (3, 4, 4, 20)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_padding_is_not_seen() -> None:
    prior = tiny()
    words, present = text(length=3)
    expected = prior(codes(), words, present)
    for extra in (1, 2):
        longer = torch.cat([words, 100 * random(3, extra, 6, seed=9)], 1)
        there = torch.cat([present, torch.zeros(3, extra, dtype=torch.bool)], 1)
        torch.testing.assert_close(prior(codes(), longer, there), expected)


def test_words_are_seen_and_their_order_too() -> None:
    prior = tiny()
    words, present = text()
    expected = prior(codes(), words, present)
    assert not torch.allclose(prior(codes(), words + 1, present), expected)
    assert not torch.allclose(prior(codes(), words.flip(1), present), expected)


def test_a_text_without_tokens_stands_for_anything() -> None:
    prior = tiny()
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    expected = prior(codes(), text(seed=1)[0], nothing)
    assert torch.isfinite(expected).all()
    assert torch.equal(prior(codes(), text(seed=2)[0], nothing), expected)
    assert not torch.allclose(prior(codes(), *text()), expected)


def test_each_text_belongs_to_its_picture() -> None:
    prior = tiny()
    words, present = text()
    present[1, 2:] = False
    whole = prior(codes(), words, present)
    for n in range(3):
        row = slice(n, n + 1)
        torch.testing.assert_close(prior(codes()[row], words[row], present[row]), whole[row])


def test_known_codes_tell_about_hidden_ones() -> None:
    prior = tiny()
    hidden = torch.full((1, 4, 4), prior.mask_token)
    nothing_known = prior(hidden, *text(1))
    known = hidden.clone()
    known[0, 3, 3] = 7
    one = prior(known, *text(1))
    known[0, 3, 3] = 8
    other = prior(known, *text(1))
    far = (0, 0, 0)  # in another patch
    assert not torch.allclose(one[far], nothing_known[far])
    assert not torch.allclose(one[far], other[far])


def test_cells_go_through_patches_and_come_back_to_their_places() -> None:
    prior = tiny(layers=0, width=32)  # 2 x 2 codes of 8 values: a patch passes unchanged
    with torch.no_grad():
        for linear in (prior.into, prior.out):
            linear.weight.copy_(torch.eye(32))
            linear.bias.zero_()
        prior.position.zero_()
    prior.norm = nn.Identity()  # type: ignore[assignment]
    found = prior.features(codes(), *text())
    torch.testing.assert_close(found, prior.codes(codes()))


def test_hiding_is_no_answer() -> None:
    """Logits are those of the codes alone, by their own vectors."""
    prior = tiny()
    features = random(2, 8)
    logits = prior.logits(features)
    assert logits.shape == (2, 20)
    torch.testing.assert_close(logits, features @ prior.codes.weight[:20].T + prior.bias)


def test_configurations_read_back() -> None:
    assert TokenPriorConfig.from_dict(asdict(TINY)) == TINY
    with pytest.raises(TypeError, match="depth"):
        TokenPriorConfig.from_dict({**asdict(TINY), "depth": 3})
