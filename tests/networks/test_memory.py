"""Saving memory changes neither pictures nor gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.engine import Session
from gouache.generators import load_generator
from gouache.generators.vqgan import VQGAN
from gouache.networks.memory import MemoryPlan, free_memory, kept_bytes, make_plan
from gouache.perceptors import load_perceptor
from gouache.protocols import Loss, LossContext, Step
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session


def test_chunks_have_the_gradient_of_the_whole() -> None:
    perceptor = load_perceptor("pocket")
    size = perceptor.image_size
    views = torch.rand(7, 3, size, size, generator=torch.Generator().manual_seed(0))
    pull = torch.randn(7, perceptor.embed_dim, generator=torch.Generator().manual_seed(1))
    found = []
    for chunk in (None, 3):
        leaf = views.clone().requires_grad_()
        out = MemoryPlan(chunk=chunk).embed(perceptor.embed_image, leaf)
        found.append((out.detach(), torch.autograd.grad(out, leaf, pull)[0]))
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


def test_chunks_are_as_small_as_asked_for() -> None:
    seen: list[int] = []

    def embed(part: Tensor) -> Tensor:
        seen.append(len(part))
        return part.mean((2, 3))

    plan = MemoryPlan(chunk=2)
    assert len(plan.embed(embed, torch.rand(5, 3, 4, 4))) == 5
    assert seen == [2, 2, 1]


def test_the_checkpointed_decoder_paints_the_same_and_keeps_less() -> None:
    model = load_generator("pocket")
    assert isinstance(model, VQGAN)
    codes = model.codebook[torch.arange(64).view(1, 8, 8)].movedim(-1, 1).contiguous()
    found = []
    ways = (model.decode, model.decode_checkpointed)
    for decode in ways:
        leaf = codes.clone().requires_grad_()
        out = decode(leaf)
        found.append((out.detach(), torch.autograd.grad(out.square().sum(), leaf)[0]))
    for plain, checkpointed in zip(*found, strict=True):
        assert torch.equal(plain, checkpointed)
    kept = {decode: kept_bytes(decode, codes) for decode in ways}
    assert kept[model.decode_checkpointed] < 0.7 * kept[model.decode]
    model.decoder.requires_grad_(True)  # as in training: torch keeps every convolution's input
    assert kept[model.decode] < 0.7 * kept_bytes(model.decode, codes)


def plan(free: int | None, **changes: Any) -> MemoryPlan:
    """A decoder that keeps 16 floats a cell, a perceptor that keeps each cutout four times."""
    values: dict[str, Any] = {
        "decode": lambda code: (code.repeat(1, 4, 1, 1) * code.new_ones(1).requires_grad_()).exp(),
        "code": torch.zeros(1, 4, 1, 1),
        "cells": 10_000,
        "embeds": [(lambda x: x.repeat(4, 1, 1, 1).exp().sum((2, 3)), 64)],
        "num": 400,
        "pixels": 1 << 20,
        **changes,
    }
    return make_plan(free=free, **values)


def test_what_fits_is_left_alone() -> None:
    assert plan(1 << 40) == MemoryPlan()
    assert plan(None) == MemoryPlan()  # nobody knows: as before


def test_what_is_small_is_not_even_measured() -> None:
    def wrong(x: Tensor) -> Tensor:
        raise AssertionError

    assert plan(1, decode=wrong, num=4, embeds=[(wrong, 48)], pixels=128 * 128) == MemoryPlan()


def test_a_comfortable_chunk_is_taken_where_all_would_fit() -> None:
    each = 4 * 4 * 3 * 64 * 64  # bytes that the perceptor keeps of a cutout
    assert plan(1 << 40, comfortable=10 * each).chunk == 10
    assert plan(1 << 40, comfortable=400 * each).chunk is None
    assert plan(1_000_000, comfortable=10 * each).chunk == 1  # unless not even that fits


def test_less_memory_makes_smaller_chunks() -> None:
    sizes = [plan(free).chunk for free in (60_000_000, 30_000_000, 1_000_000)]
    chunks = [size for size in sizes if size is not None]
    assert len(chunks) == 3
    assert 400 > chunks[0] > chunks[1] > chunks[2] >= 1
    assert plan(1_000_000).recompute


def test_a_full_card_lowers_step_by_step() -> None:
    plan = MemoryPlan()
    assert plan.lower(8)
    assert plan == MemoryPlan(None, recompute=True)
    chunks = []
    while plan.lower(8):
        chunks.append((plan.chunk, plan.tiled))
    assert chunks == [(4, False), (2, False), (1, False), (1, True)]


def test_pictures_beyond_memory_are_decoded_in_strips() -> None:
    least = [plan(free) for free in (1 << 40, 2_500_000, 100_000)]
    assert [one.tiled for one in least] == [False, False, True]
    assert least[2].recompute
    assert least[2].chunk == 1


def test_a_step_that_runs_out_of_memory_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = tiny_session(seed=3)
    expected = [next(calm).image for _ in range(2)]

    class Greedy(TinyPerceptor):
        def embed_image(self, image: Tensor) -> Tensor:
            if len(image) > 2 and image.requires_grad:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().embed_image(image)

    session = Session.build(tiny_config(seed=3), generator=TinyGenerator(), perceptor=Greedy())
    with pytest.warns(UserWarning, match="memory is full"):
        found = [next(session).image for _ in range(2)]
    assert session.models.memory.chunk is not None
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_a_step_that_never_fits_is_an_error() -> None:
    class Huge(TinyPerceptor):
        def embed_image(self, image: Tensor) -> Tensor:
            if image.requires_grad:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().embed_image(image)

    session = Session.build(tiny_config(), generator=TinyGenerator(), perceptor=Huge())
    with pytest.warns(UserWarning, match="memory"), pytest.raises(torch.OutOfMemoryError):
        next(session)
    assert session.step_index == 0


def test_this_machine_says_what_is_free() -> None:
    free = free_memory(torch.device("cpu"))
    assert free is None or 1 << 20 < free < 1 << 50
    assert free_memory(torch.device("mps")) is None


def test_weights_are_not_counted() -> None:
    layer = torch.nn.Linear(1000, 1000).requires_grad_(False)
    kept = kept_bytes(lambda x: torch.relu(layer(x)), torch.ones(1, 1000))
    assert kept <= 4 * 1000 * 2


class Counting(TinyPerceptor):
    """Notes how many cutouts it is shown at once."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []

    def embed_image(self, image: Tensor) -> Tensor:
        if image.requires_grad:
            self.shown.append(len(image))
        return super().embed_image(image)


def one_step(chunk: int | None, losses: tuple[Loss, ...] = ()) -> tuple[Session, Counting, Step]:
    perceptor = Counting()
    config = tiny_config(
        prompt="one:2 | two:-0.5:-9", count=2, num_cutouts=7, tv_weight=0.3, latent_weight=0.5
    )
    session = Session.build(
        config, generator=TinyGenerator(), perceptor=perceptor, losses=list(losses)
    )
    session.models.memory.chunk = chunk
    perceptor.shown.clear()
    return session, perceptor, next(session)


def test_a_step_in_chunks_is_the_same_step() -> None:
    whole, parts = one_step(None), one_step(6)
    assert whole[2].losses.keys() == parts[2].losses.keys()
    for name, value in whole[2].losses.items():
        torch.testing.assert_close(parts[2].losses[name], value, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(parts[0].latent(), whole[0].latent(), atol=1e-5, rtol=1e-5)


def test_nothing_is_embedded_twice() -> None:
    """Equal chunks of whole cutouts, two pictures each; the perceptor sees each view once."""
    assert one_step(None)[1].shown == [14]
    assert one_step(6)[1].shown == [6, 6, 2]
    assert one_step(1)[1].shown[-1] == 1  # not even one cutout of both pictures: again going back
    assert len(set(one_step(10)[1].shown)) <= 2


class Spread:
    """Looks at all embeddings at once, as a loss from elsewhere may."""

    name = "spread"

    def __call__(self, context: LossContext) -> Tensor:
        return -context.embeddings.std(0).sum(-1)


def test_a_loss_that_looks_at_everything_gets_everything() -> None:
    losses: tuple[Loss, ...] = (Spread(),)
    whole, parts = one_step(None, losses), one_step(6, losses)
    torch.testing.assert_close(parts[2].losses["spread"], whole[2].losses["spread"])
    assert float(whole[2].losses["spread"].abs().min()) > 0
    torch.testing.assert_close(parts[0].latent(), whole[0].latent(), atol=1e-5, rtol=1e-5)
