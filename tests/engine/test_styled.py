"""Pictures that are begun in the style that their words name, and held near it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.editing.config import painting_config
from gouache.engine import Session, resume_session, save_session
from gouache.engine import build as building
from gouache.engine import styled as styling
from gouache.engine.styled import StyleWarning
from gouache.settings.config import PaintConfig, make_config
from tiny import TinyGenerator, TinyPerceptor, tiny_session

STYLED = "a mosaic of a fish"


def final(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


def begun(**settings: Any) -> Session:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StyleWarning)
        return tiny_session(**{"prompt": STYLED, "style_weight": 5.0, "steps": (4,), **settings})


def test_a_line_says_what_is_begun_and_how_to_leave_it() -> None:
    with pytest.warns(StyleWarning, match=r"a fish \(mosaic\); style_weight 0") as told:
        tiny_session(prompt=STYLED, style_weight=5.0)
    assert len(told) == 1
    assert told[0].message.details == {"drawn": {"a fish": ["mosaic"]}}  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny_session(prompt=STYLED, style_weight=0.0)
        tiny_session(prompt="a fish | a mosaic:-1", style_weight=5.0)
        tiny_session(prompt="mosaic", style_weight=5.0)  # nothing to draw in it


@pytest.mark.parametrize(("share", "steps"), [(0.5, 2), (0.25, 1)])
def test_it_starts_from_the_content_drawn_in_the_style(
    share: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn is the content, as it is on the way of a run of its own."""
    seen: list[tuple[Tensor, tuple[str, ...], int]] = []

    def watched(models: Any, canvas: Any, latent: Tensor, styles: Any, seed: int) -> Tensor:
        seen.append((latent, styles, seed))
        return styling.drawn(models, canvas, latent, styles, seed)

    monkeypatch.setattr(building, "drawn", watched)
    session = begun(seed=3, steps=(4,), style_share=share)
    ((latent, styles, seed),) = seen
    assert (styles, seed) == (("mosaic",), 3)
    plain = tiny_session(prompt="a fish", style_weight=0.0, steps=(4,), seed=3)
    for _ in range(steps):
        next(plain)
    assert torch.equal(latent, plain.latent()[0])
    image = styling.drawn(session.models, session.canvas, latent, styles, seed)
    assert torch.equal(session.latent()[0], image)
    assert [str(prompt) for prompt in session.prompts] == [STYLED]
    assert session.config.guidance.style_weight == 5.0


def test_it_is_held_near_its_beginning_as_strongly_as_asked() -> None:
    moved = []
    for weight in (0.01, 500.0):
        session = begun(style_weight=weight, seed=1, steps=(12,))
        start = session.latent()
        final(session)
        moved.append(float((session.latent() - start).square().mean()))
    assert moved[1] < 0.5 * moved[0]


def test_each_picture_of_a_batch_has_its_own() -> None:
    """A picture in a style is the same alone, and the others are as without any."""
    prompts = ("a fish", STYLED, "a tree in the snow")
    together = begun(prompt=prompts, count=3, seed=5)
    assert "style" in next(together).losses
    alone = final(begun(prompt=STYLED, seed=6))
    plain = final(begun(prompt="a fish", seed=5))
    snow = final(begun(prompt="a tree in the snow", seed=7))
    pictures = final(together)
    for one, other in zip(pictures, (plain, alone, snow), strict=True):
        assert torch.allclose(one, other[0], atol=1e-4)


def test_resumed_it_is_held_as_before(tmp_path: Path) -> None:
    session, whole = begun(seed=2, steps=(6,)), begun(seed=2, steps=(6,))
    for _ in range(2):
        next(session)
    save_session(session, tmp_path / "state.pt")
    again = resume_session(
        tmp_path / "state.pt", generator=TinyGenerator(), perceptor=TinyPerceptor()
    )
    assert "style" in next(again).losses
    assert torch.equal(final(again), final(whole))


def test_other_words_let_go_of_it() -> None:
    session = begun(steps=(6,))
    assert "style" in next(session).losses
    session.set_prompt("a tree")
    assert "style" not in next(session).losses


def test_it_ends_with_its_stage() -> None:
    session = begun(prompt=f"{STYLED} ^ a tree", steps=(2, 2))
    told = ["style" in step.losses for step in session]
    assert told == [True, True, False, False]


def test_weather_and_style_are_drawn_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watched(style: str, image: Tensor, seed: int) -> Tensor:
        seen.append(style)
        return image

    monkeypatch.setattr(styling, "draw_in", watched)
    begun(prompt="a watercolor of a house in the snow")
    begun(prompt="a house in the snow | pixel art:0.5")
    assert seen == ["snow", "watercolor", "snow", "pixel art"]


def test_who_has_none_by_default() -> None:
    """Old presets, records and edits keep their pictures; a picture to begin from is kept, too."""
    assert make_config(prompt=(STYLED,)).guidance.style_weight == 30.0
    for config in (
        make_config("pocket", prompt=(STYLED,)),
        make_config("paper", prompt=(STYLED,)),
        painting_config("auto", {"prompt": STYLED}),
    ):
        assert config.guidance.style_weight == 0.0
    record = make_config(prompt=(STYLED,)).to_dict()
    assert PaintConfig.from_dict(record).guidance.style_weight == 30.0
    del record["guidance"]["style_weight"]  # of an earlier version
    assert PaintConfig.from_dict(record).guidance.style_weight == 0.0
    image = torch.full((3, 16, 16), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = Session.build(
            make_config("pocket", prompt=STYLED, size=(16, 16), style_weight=5.0, steps=1),
            generator=TinyGenerator(),
            perceptor=TinyPerceptor(),
            init_image=image,
        )
    assert "style" not in next(session).losses
