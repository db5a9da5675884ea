"""A perceptor that guides nothing helps to choose among the tries of a start (`start_judge`)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine import Session, starts
from gouache.errors import ConfigError, ModelError
from gouache.settings.config import OLDER, PaintConfig, make_config
from tiny import TinyPerceptor, tiny_session

TRIES: dict[str, Any] = {"start_tries": 4, "start_steps": 2, "start_scale": 1.0}


class Judge(TinyPerceptor):
    """Likes pictures the better the brighter they are, or the darker."""

    def __init__(self, dark: bool) -> None:
        super().__init__(5)
        self.dark, self.asked, self.seen = dark, list[str](), list[Tensor]()

    def embed_text(self, texts: Any) -> Tensor:
        self.asked += texts
        return torch.eye(1, 2).expand(len(texts), 2)

    def embed_image(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        light = image.float().mean((1, 2, 3)).clamp(0, 1)
        like = 1 - light if self.dark else light
        return F.normalize(torch.stack([like, 1 - like], 1), dim=-1)


def judged(monkeypatch: pytest.MonkeyPatch, judge: Judge | None, **settings: Any) -> Session:
    def shared(name: str, device: object, dtype: object) -> Judge:
        assert judge is not None, "nobody judges here"
        assert name == "severe"
        return judge

    monkeypatch.setattr(starts, "shared_perceptor", shared)
    return tiny_session(**{"start_judge": "severe", **TRIES, **settings})


def light(session: Session, picture: int = 0) -> float:
    return float(session.picture()[picture].mean())


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_judge_sways_the_choice(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    asked = {**TRIES, "start_scale": scale}
    tries = [light(tiny_session(**asked, start_choice=k)) for k in (1, 2, 3, 4)]
    bright, dark = (light(judged(monkeypatch, Judge(one), **asked)) for one in (False, True))
    assert {bright, dark} < set(tries)
    assert bright > dark
    if scale == 1:  # smaller ones are enlarged afterwards, and not as light as they were
        assert (bright, dark) == (max(tries), min(tries))


def test_it_sees_whole_tries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(dark=True)
    judged(monkeypatch, judge, whole_share=0.0, cut_min=0.1)
    assert len(judge.seen) == TRIES["start_tries"]
    for views in judge.seen:
        torch.testing.assert_close(views, views[:1].expand_as(views))


def test_it_reads_the_words_of_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(dark=True)
    judged(monkeypatch, judge, prompt="", prompts=("a cup", "a boat | rain:-1"), count=2)
    assert {"a cup", "a boat", "rain"} <= set(judge.asked)


def test_each_picture_of_a_batch_is_chosen_for_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("a cup", "a boat | a tree")
    batch = judged(monkeypatch, Judge(True), prompt="", prompts=words, count=2, seed=3)
    for picture, prompt in enumerate(words):
        one = judged(monkeypatch, Judge(True), prompt=prompt, seed=3 + picture)
        torch.testing.assert_close(batch.latent()[picture], one.latent()[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"start_judge": "off"},
        {"start_tries": 1, "start_scale": 0.5},
        {"start_choice": 2, "start_scale": 0.5},
        {"prompt": "", "noise_prompts": ("3",)},
    ],
    ids=["off", "one try", "chosen by hand", "no words"],
)
def test_nobody_is_asked_where_there_is_nothing_to_judge(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    plain = tiny_session(**{**TRIES, **settings, "start_judge": "off"})
    assert torch.equal(judged(monkeypatch, None, **settings).latent(), plain.latent())


def test_words_that_are_alike_to_it_do_not_cancel_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked of each prompt, also where the guides are asked their sum."""
    asked: dict[str, Any] = {"prompt": "a cup | a boat:-1", "combine": "embedding"}
    found = judged(monkeypatch, Judge(dark=True), **asked).latent()
    assert torch.equal(found, tiny_session(**TRIES, **asked).latent())


def test_a_judge_that_there_is_not_is_one_line() -> None:
    with pytest.raises(ModelError, match="no perceptor is called 'severe'") as error:
        tiny_session(start_judge="severe", **TRIES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path", ["/home/me/judge.pt", "../judge.pt", "open_clip:local-dir:/me/judge"]
)
def test_a_path_is_no_judge(path: str) -> None:
    """Files made for sharing hold no paths of a machine."""
    with pytest.raises(ConfigError, match="expected the name of a perceptor") as error:
        tiny_session(start_judge=path)
    assert "\n" not in str(error.value)


def test_by_default_the_guides_choose_alone() -> None:
    """Pictures whose words only `pocket` knows have a judge: see `presets.ALONE`."""
    assert PaintConfig().latents.start_judge == OLDER["start_judge"] == "off"
    assert {make_config(one).latents.start_judge for one in ("photo", "pocket", "paper")} == {"off"}
