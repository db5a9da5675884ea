"""Settings that change over a run, in the loop."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.engine import Session, resume_session, save_session
from gouache.losses import TotalVariationLoss
from gouache.settings.codec import Setting
from gouache.settings.config import settings
from gouache.settings.schedule import Schedule
from tiny import TinyGenerator, TinyPerceptor, tiny_session

# Nothing else lowers what the schedules say, and everything is there for them to change.
BUSY: dict[str, Any] = {
    "prompt": "a red apple",
    "steps": 6,
    "size": (48, 48),
    "lr_schedule": "constant",
    "lr_warmup": 0,
    "latent_decay": 0.0,
    "tv_weight": 0.1,
    "num_cutouts": 8,
    "whole_share": 0.25,
    "erase_probability": 0.9,
    "contrast_weight": 0.5,
    "augment": ("flip", "affine", "perspective", "color", "erasing", "noise"),
}
MAY_CHANGE = [one for one in settings() if one.type == float | Schedule]


def latents(**values: Any) -> list[Tensor]:
    session = tiny_session(bank_size=4, **{**BUSY, **values})
    return [session.latent() for _ in session]


def two_values(setting: Setting) -> tuple[float, float]:
    if setting.name.endswith(("_probability", "_share")):
        return 1.0, 0.0
    first = setting.default or 0.5
    return first, first / 2


@pytest.mark.parametrize("setting", MAY_CHANGE, ids=[one.name for one in MAY_CHANGE])
def test_each_is_read_at_every_step(setting: Setting) -> None:
    first, second = two_values(setting)
    words = {"prompt": "a mosaic of a red apple"} if setting.name == "style_weight" else {}
    plain = latents(**words, **{setting.name: first})
    kept = latents(**words, **{setting.name: Schedule((0,), (first,))})
    assert all(map(torch.equal, plain, kept))
    changed = latents(**words, **{setting.name: f"0:({first!r}), 3:({second!r}) step"})
    assert all(map(torch.equal, plain[:3], changed[:3]))
    assert not torch.equal(plain[3], changed[3])


def test_those_that_may_change() -> None:
    names = {one.name for one in MAY_CHANGE}
    assert {"learning_rate", "clip_grad", "latent_weight", "contrast_weight", "tv_weight"} < names
    assert "contrast_scale" in names
    assert {"cut_pow", "cut_min", "whole_share", "noise_strength", "affine_degrees"} < names


@pytest.mark.parametrize("rule", ["decay", "stepwise"])
def test_a_pull_with_a_schedule_is_not_lowered_otherwise(rule: str) -> None:
    given = {"latent_rule": rule, "latent_weight": "constant(0.4)", "latent_drop_every": 2}
    own = {"latent_decay": 0.5, "latent_drop": 0.1}
    plain = {**given, "latent_weight": 0.4, "latent_decay": 0.0, "latent_drop": 0.0}
    assert all(map(torch.equal, latents(**given, **own), latents(**plain)))


def test_a_loss_is_multiplied_by_what_the_schedule_says() -> None:
    session = tiny_session(bank_size=4, **{**BUSY, "tv_weight": "linear(0, 1)"})
    for step in session:
        found = step.losses["tv"]
        context = type("Context", (), {"image": step.image})()
        expected = TotalVariationLoss(1.0)(context) * step.index / 5
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_schedule_of_the_learning_rate_says_all() -> None:
    own = {"lr_schedule": "cosine", "lr_warmup": 4}
    session = tiny_session(bank_size=4, **{**BUSY, **own, "learning_rate": "linear(0.5, 0.1)"})
    rates = []
    while not session.finished:
        rates.append(session.learning_rate)
        next(session)
    assert rates == pytest.approx([0.5, 0.42, 0.34, 0.26, 0.18, 0.1])


def resumed(path: Path) -> Session:
    return resume_session(path, generator=TinyGenerator(), perceptor=TinyPerceptor(4))


@pytest.mark.parametrize("at", [0, 2, 5])
def test_resumed_at_any_step_is_the_same(at: int, tmp_path: Path) -> None:
    changing = {
        **BUSY,
        "learning_rate": "cosine(0.3, 0.05)",
        "latent_weight": "0:(0.1), 4:(0)",
        "contrast_weight": "0%:(0), 50%:(1)",
        "noise_strength": "0:(0.3), 3:(0) step",
    }
    whole = tiny_session(bank_size=4, **changing)
    expected = [step.image for step in whole]
    session = tiny_session(bank_size=4, **changing)
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resumed(tmp_path / "state")
    assert again.config == session.config
    assert all(map(torch.equal, expected[at:], [step.image for step in again]))
    assert torch.equal(whole.picture(), again.picture())


def test_scores_can_be_compared_over_a_run() -> None:
    changing = tiny_session(bank_size=4, **{**BUSY, "cut_min": "linear(0.5, 1)"})
    plain = tiny_session(bank_size=4, **{**BUSY, "cut_min": 0.5})
    assert torch.equal(changing.scores(), plain.scores())
