"""Parallel decoding: complete, reproducible, and independent per picture."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from gouache.priors.sampling import draw, sample
from gouache.priors.token_prior import TokenPrior
from priors.tiny_prior import TINY, rngs, text, tiny


class Spy:
    """A prior that remembers what it was asked; `logits(codes, present)` answers, if given."""

    config = TINY
    mask_token = TINY.codebook_size

    def __init__(self, logits: Any = None) -> None:
        self.prior, self.answer = tiny(), logits
        self.seen: list[Tensor] = []

    def __call__(self, codes: Tensor, words: Tensor, present: Tensor) -> Tensor:
        self.seen.append(codes.clone())
        if self.answer is not None:
            return cast("Tensor", self.answer(codes, present))
        return cast("Tensor", self.prior(codes, words, present))


def spied(spy: Spy) -> TokenPrior:
    return cast("TokenPrior", spy)


def test_no_code_stays_hidden() -> None:
    for steps in (1, 2, 5, 12, 40):
        found = sample(tiny(), *text(2), rngs(0, 1), steps=steps)
        assert found.shape == (2, 4, 4)
        assert found.dtype == torch.long
        assert found.min() >= 0
        assert found.max() < TINY.codebook_size


def test_same_chance_same_codes() -> None:
    one = sample(tiny(), *text(1), rngs(4))
    assert torch.equal(one, sample(tiny(), *text(1), rngs(4)))
    assert not torch.equal(one, sample(tiny(), *text(1), rngs(5)))
    torch.manual_seed(99)
    assert torch.equal(one, sample(tiny(), *text(1), rngs(4)))


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    words, present = text(3)
    present[2, 1:] = False
    together = sample(tiny(), words, present, rngs(7, 8, 9))
    for n in range(3):
        row = slice(n, n + 1)
        assert torch.equal(sample(tiny(), words[row], present[row], rngs(7 + n)), together[row])


def test_codes_are_settled_for_good_and_by_the_cosine_schedule() -> None:
    """MaskGIT, section 3.2: cos(pi/2 t/T) of the codes are still hidden after round t of T."""
    spy = Spy()
    steps = 6
    last = sample(spied(spy), *text(2), rngs(0, 1), steps=steps, guidance=1.0)
    assert len(spy.seen) == steps
    for done, grid in enumerate(spy.seen):
        hidden = grid == spy.mask_token
        expected = math.floor(16 * math.cos(0.5 * math.pi * done / steps))
        assert hidden.flatten(1).sum(1).tolist() == [expected] * 2
        for later in [*spy.seen[done:], last]:
            assert torch.equal(later[~hidden], grid[~hidden])


def test_no_guidance_asks_once() -> None:
    plain, guided = Spy(), Spy()
    sample(spied(plain), *text(3), rngs(0, 1, 2), guidance=1.0)
    sample(spied(guided), *text(3), rngs(0, 1, 2), guidance=2.0)
    assert {len(grid) for grid in plain.seen} == {3}
    assert {len(grid) for grid in guided.seen} == {6}


def test_guidance_means_nothing_without_a_text() -> None:
    words, present = text(2)
    nothing = torch.zeros_like(present)
    found = [sample(tiny(), words, nothing, rngs(0, 1), guidance=g) for g in (1.0, 5.0)]
    assert torch.equal(*found)


def test_guidance_goes_beyond_what_the_text_adds() -> None:
    def answer(codes: Tensor, present: Tensor) -> Tensor:
        logits = torch.zeros(*codes.shape, TINY.codebook_size)
        logits[..., 3] = present.any(1).float().view(-1, 1, 1)  # the text speaks for code 3
        return logits

    def share(guidance: float) -> float:
        chance = rngs(*range(20))
        found = sample(spied(Spy(answer)), *text(20), chance, guidance=guidance, steps=4)
        return float((found == 3).float().mean())

    assert share(1.0) < 0.25
    assert share(6.0) > 0.8


def test_low_temperature_takes_the_likeliest() -> None:
    wanted = torch.arange(16).view(1, 4, 4)

    def answer(codes: Tensor, present: Tensor) -> Tensor:
        return (
            torch.nn.functional.one_hot(wanted, TINY.codebook_size)
            .float()
            .expand(len(codes), -1, -1, -1)
        )

    found = sample(spied(Spy(answer)), *text(1), rngs(0), temperature=0.01)
    assert torch.equal(found, wanted)


def test_without_luck_the_surest_codes_are_settled_first() -> None:
    def answer(codes: Tensor, present: Tensor) -> Tensor:
        logits = torch.zeros(len(codes), 16, TINY.codebook_size)
        logits[..., 0] = torch.arange(16.0) + 12  # the last cells are the surest
        return logits.view(len(codes), 4, 4, -1)

    spy = Spy(answer)
    sample(
        spied(spy),
        *text(1),
        rngs(0),
        steps=4,
        guidance=1.0,
        choice_temperature=0.0,
        temperature=2.0,
    )
    for grid in spy.seen:
        hidden = (grid == spy.mask_token).flatten().long()
        assert (hidden.diff() <= 0).all()  # hidden ones first, settled ones last


def test_draws_follow_the_shares() -> None:
    share = torch.tensor([0.0, 0.5, 0.0, 0.2, 0.3]).expand(1, 20_000, 5)
    uniform = torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draw(share, uniform)[0], minlength=5) / 20_000
    torch.testing.assert_close(counts, share[0, 0], atol=0.01, rtol=0)
    assert counts[0] == counts[2] == 0


def test_the_ends_of_the_line_are_drawable_codes() -> None:
    share = torch.tensor([[[0.0, 0.4, 0.6], [0.0, 1.0, 0.0]]])
    assert draw(share, torch.zeros(1, 2)).tolist() == [[1, 1]]
    assert draw(share, torch.full((1, 2), 1 - 2**-24)).tolist() == [[2, 1]]
