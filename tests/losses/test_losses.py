"""Laws of the losses."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.losses import (
    ContrastLoss,
    DecayingLoss,
    PromptLoss,
    SteppedLoss,
    TotalVariationLoss,
    rivals,
    shared_rivals,
    spherical_distance,
)
from gouache.protocols import LossContext


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def at_angle(angle: float) -> Tensor:
    """A unit vector (2,) at an angle from (1,0)."""
    return torch.tensor([math.cos(angle), math.sin(angle)])


def context(
    embeddings: Tensor | None = None,
    latent: Tensor | None = None,
    image: Tensor | None = None,
    step: int = 0,
) -> LossContext:
    return LossContext(
        image=torch.zeros(2, 3, 4, 4) if image is None else image,
        latent=torch.zeros(2, 3, 2, 2) if latent is None else latent,
        cutouts=torch.zeros(0, 3, 8, 8),
        embeddings=unit(5, 2, 8) if embeddings is None else embeddings,
        step=step,
        num_steps=100,
    )


def test_distance_is_the_published_formula() -> None:
    x, y = unit(50, 8), unit(50, 8, seed=1)
    published = 2 * torch.arcsin((x - y).norm(dim=-1) / 2) ** 2
    torch.testing.assert_close(spherical_distance(x, y), published)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, math.pi / 2, math.pi - 1e-3])
def test_distance_is_half_the_squared_angle(angle: float) -> None:
    found = spherical_distance(at_angle(angle), at_angle(0.0))
    assert float(found) == pytest.approx(angle**2 / 2, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.5, 3.0, math.pi - 1e-6])
def test_distance_has_a_finite_gradient_of_the_angles_size(angle: float) -> None:
    x = at_angle(angle).requires_grad_()
    (gradient,) = torch.autograd.grad(spherical_distance(x, at_angle(0.0)), x)
    along = gradient @ at_angle(angle + math.pi / 2)  # along the circle
    assert torch.isfinite(gradient).all()
    assert float(along) == pytest.approx(angle, rel=1e-2, abs=1e-5)


def test_distance_at_exact_antipodes_and_at_itself() -> None:
    x = unit(4, 8)
    for y, expected in ((x, 0.0), (-x, math.pi**2 / 2)):
        probe = x.clone().requires_grad_()
        distance = spherical_distance(probe, y)
        (gradient,) = torch.autograd.grad(distance.sum(), probe)
        torch.testing.assert_close(distance, torch.full((4,), expected), atol=1e-5, rtol=1e-5)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("weight", [2.0, -0.5])
def test_prompt_loss_is_weight_times_mean_signed_distance(weight: float) -> None:
    target = unit(1, 8, seed=2)
    distances = spherical_distance(context().embeddings, target)
    loss = PromptLoss("prompt/0", target, weight)(context())
    assert loss.shape == (2,)
    torch.testing.assert_close(loss, weight * distances.mean(0))


def test_prompt_loss_takes_one_target_per_picture() -> None:
    targets = unit(2, 8, seed=2)
    both = PromptLoss("prompt/0", targets)(context())
    each = [PromptLoss("prompt/0", targets[k : k + 1])(context())[k] for k in range(2)]
    torch.testing.assert_close(both, torch.stack(each))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stop_keeps_the_value_and_drops_the_gradient_per_cutout(sign: float) -> None:
    embeddings = torch.stack([at_angle(0.3), at_angle(2.0)])[:, None].requires_grad_()  # (2,1,2)
    target = at_angle(0.0)[None]
    free = PromptLoss("p", target, sign)
    # one cutout beyond the stop, one not, whichever sign
    stopping = PromptLoss("p", target, sign, stop=sign * 1.0**2 / 2)
    assert torch.equal(free(context(embeddings)), stopping(context(embeddings)))
    (all_of_it,) = torch.autograd.grad(free(context(embeddings)).sum(), embeddings)
    (rest,) = torch.autograd.grad(stopping(context(embeddings)).sum(), embeddings)
    resting, moving = (0, 1) if sign > 0 else (1, 0)
    assert not rest[resting].any()
    torch.testing.assert_close(rest[moving], all_of_it[moving])


def test_contrast_is_the_cross_entropy_of_the_target() -> None:
    target, others = unit(1, 8, seed=3), unit(6, 8, seed=4)
    loss = ContrastLoss("contrast/0", target, others, weight=0.7, scale=9.0)(context())
    scores = 9.0 * context().embeddings @ torch.cat([target, others]).T  # (N,B,7)
    expected = F.cross_entropy(scores.flatten(0, 1), torch.zeros(10, dtype=torch.long))
    assert loss.shape == (2,)
    torch.testing.assert_close(loss.mean(), 0.7 * expected)


def test_contrast_rests_where_the_stop_is_reached() -> None:
    embeddings = torch.stack([at_angle(0.3), at_angle(2.0)])[:, None].requires_grad_()
    loss = ContrastLoss("c", at_angle(0.0)[None], at_angle(1.0)[None], stop=0.5)
    (gradient,) = torch.autograd.grad(loss(context(embeddings)).sum(), embeddings)
    assert not gradient[0].any()
    assert gradient[1].any()


def test_synonyms_are_no_rivals_but_unwanted_prompts_are() -> None:
    bank = torch.stack([at_angle(0.1), at_angle(1.0), at_angle(2.0)])
    wanted, unwanted = at_angle(0.0)[None], at_angle(0.2)[None]
    found = rivals(bank, wanted, unwanted)
    assert torch.equal(found, torch.cat([bank[1:], unwanted]))


def test_decaying_pull() -> None:
    latent = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(5))
    loss = DecayingLoss(0.1, 0.005)
    torch.testing.assert_close(loss(context(latent=latent)), 0.1 * (latent**2).mean((1, 2, 3)))
    later = loss(context(latent=latent, step=10))
    torch.testing.assert_close(later, 0.1 * 0.995**10 * (latent**2).mean((1, 2, 3)))


def test_stepped_pull_goes_to_its_target_and_never_below_zero() -> None:
    latent = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(6))
    loss = SteppedLoss(1.5, 0.4, 50, target=torch.ones(2, 3, 2, 2))
    for step, weight in ((0, 1.5), (49, 1.5), (50, 1.1), (150, 0.3), (200, 0.0), (900, 0.0)):
        expected = weight / 2 * ((latent - 1) ** 2).mean((1, 2, 3))
        torch.testing.assert_close(loss(context(latent=latent, step=step)), expected)
    assert [step for step in range(1000) if loss.drops_at(step)] == [50, 100, 150, 200]
    assert SteppedLoss(1.0, 0.1, 5)(context(latent=latent)).shape == (2,)  # towards zero


def test_total_variation() -> None:
    flat = torch.full((2, 3, 6, 6), 0.3)
    assert not TotalVariationLoss(1.0)(context(image=flat)).any()
    stripes = torch.zeros(2, 3, 4, 4)
    stripes[..., ::2] = 1  # three jumps in each row of four
    found = TotalVariationLoss(2.0)(context(image=stripes))
    assert found.tolist() == pytest.approx([2 * 12 / 16] * 2)
    assert torch.isfinite(TotalVariationLoss(1.0)(context(image=torch.rand(1, 3, 1, 1)))).all()


@pytest.mark.parametrize("rows", [1, 2])
def test_losses_of_some_pictures_are_those_of_the_pictures_alone(rows: int) -> None:
    embeddings = unit(5, 4, 8).requires_grad_()
    targets, others = unit(rows, 8, seed=2), unit(6, 8, seed=4)
    pictures = torch.tensor([1, 3])
    for make in (
        lambda target, whose: PromptLoss("p", target, 0.7, 1.0, whose),
        lambda target, whose: ContrastLoss("c", target, others, 0.7, 9.0, 1.0, whose),
    ):
        found = make(targets, pictures)(context(embeddings))
        assert found.shape == (4,)
        assert found[[0, 2]].tolist() == [0, 0]
        (gradient,) = torch.autograd.grad(found.sum(), embeddings)
        assert not gradient[:, [0, 2]].any()
        for row, picture in enumerate(pictures.tolist()):
            own = make(targets[row % rows][None], None)(context(embeddings[:, picture, None]))
            torch.testing.assert_close(found[picture], own[0])
            (expected,) = torch.autograd.grad(own.sum(), embeddings)
            torch.testing.assert_close(gradient[:, picture], expected[:, picture])


def test_rivals_of_several_pictures_share_a_table() -> None:
    bank = torch.stack([at_angle(angle) for angle in (0.1, 1.0, 2.0, 3.0)])
    none = torch.zeros(0, 2)
    asked = [
        (at_angle(0.0)[None], at_angle(0.2)[None]),
        (at_angle(1.0)[None], none),
        (torch.stack([at_angle(2.0), at_angle(0.9)]), at_angle(2.5)[None]),
    ]
    table, absent = shared_rivals(bank, asked)
    assert absent is not None
    for row, own in zip(absent, asked, strict=True):
        assert torch.equal(table[~row], rivals(bank, *own))
    wanted = torch.cat([at_angle(0.1)[None], at_angle(1.0)[None]])
    table, absent = shared_rivals(bank, [(wanted, none), (wanted, none)])
    assert absent is None  # the same for all: what nobody has is not in the table
    assert torch.equal(table, bank[2:])


def test_absent_rivals_play_no_part() -> None:
    target, others = unit(1, 8, seed=3), unit(6, 8, seed=4)
    absent = torch.zeros(2, 6, dtype=torch.bool)
    absent[0, 2:] = absent[1, :] = True
    embeddings = unit(5, 2, 8).requires_grad_()
    loss = ContrastLoss("c", target, others, absent=absent)(context(embeddings))
    first = ContrastLoss("c", target, others[:2])(context(embeddings))
    torch.testing.assert_close(loss[0], first[0])
    assert loss[1] == 0  # nothing to be told apart from
    (gradient,) = torch.autograd.grad(loss.sum(), embeddings)
    assert torch.isfinite(gradient).all()
    assert not gradient[:, 1].any()


def test_pictures_do_not_feel_one_another() -> None:
    embeddings = unit(5, 2, 8).requires_grad_()
    latent = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(7)).requires_grad_()
    image = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(8)).requires_grad_()
    seen = context(embeddings, latent, image)
    for loss in (
        PromptLoss("p", unit(1, 8, seed=9)),
        ContrastLoss("c", unit(1, 8, seed=9), unit(4, 8, seed=10)),
        DecayingLoss(0.1, 0.0),
        SteppedLoss(1.0, 0.1, 5),
        TotalVariationLoss(1.0),
    ):
        grads = torch.autograd.grad(loss(seen)[0], (embeddings, latent, image), allow_unused=True)
        for of_picture in (
            None if grads[0] is None else grads[0].transpose(0, 1),
            grads[1],
            grads[2],
        ):
            assert of_picture is None or not of_picture[1].any()
