"""Where a step's time goes, and the least that its arithmetic could take."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from gouache import cutouts
from gouache.engine import Session
from gouache.engine.objective import chunks
from gouache.engine.optimizer import take_step
from gouache.engine.terms import guide_terms
from gouache.protocols import LossContext

STAGES = (
    "quantise",
    "decode",
    "cutouts",
    "embed",
    "losses",
    "embed, back",
    "cutouts, back",
    "decode, back",
    "optimiser",
)


def timed_step(session: Session) -> dict[str, float]:
    """One step of a session of one guide, taken apart: seconds of each of `STAGES`.

    The same calls as in `Session` for losses that are means over cutouts, with the backward pass
    cut where the forward pass is.
    """
    config, models, canvas = session.config, session.models, session.canvas
    latent, optimizer, rngs = session._latent, session._optimizer, session._rngs
    perceptor = models.guides[0].perceptor
    terms = guide_terms(session.stages[0], models.guides, config)[0]
    spent: dict[str, float] = {}
    last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        wait_for(models.device)
        now = time.perf_counter()
        spent[name] = spent.get(name, 0.0) + now - last
        last = now

    codes = latent()
    lap("quantise")
    image = models.decode(codes, canvas)
    lap("decode")
    params = cutouts.sample(config.cutouts, len(image), (canvas.height, canvas.width), rngs)
    views = cutouts.apply(image, params, perceptor.image_size)
    lap("cutouts")
    pulls: list[torch.Tensor] = []
    for part, share in chunks(models, views, len(image)):
        embeddings = models.embed(perceptor, part, len(image))
        lap("embed")
        context = LossContext(
            image=image,
            latent=latent.unrounded(),
            cutouts=part,
            embeddings=embeddings,
            step=session.step_index,
            num_steps=session.num_steps,
        )
        total = torch.stack([term(context) for term in terms]).sum() * share
        (gradient,) = torch.autograd.grad(total, embeddings)
        lap("losses")
        pulls += torch.autograd.grad(embeddings, part, gradient)
        lap("embed, back")
    (gradient,) = torch.autograd.grad(views, image, torch.cat(pulls))
    lap("cutouts, back")
    (gradient,) = torch.autograd.grad(image, codes, gradient)
    lap("decode, back")
    parameters = list(latent.parameters())
    for parameter, part in zip(
        parameters, torch.autograd.grad(codes, parameters, gradient), strict=True
    ):
        parameter.grad = part
    take_step(optimizer)
    latent.after_step()
    lap("optimiser")
    return spent


def count_flops(step: Callable[[], object]) -> int:
    """Floating-point operations of all products in `step`, a multiplication and addition as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def product_rate(dtype: torch.dtype, device: torch.device | str = "cpu", side: int = 2048) -> float:
    """Floating-point operations per second of one large matrix product; the best of five."""
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):  # the first one warms up
        begun = time.perf_counter()
        left @ right
        wait_for(torch.device(device))
        best = min(best, time.perf_counter() - begun)
    return float(2 * side**3 / best)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()


__all__ = ["STAGES", "count_flops", "product_rate", "timed_step", "wait_for"]
