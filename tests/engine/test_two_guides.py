"""The laws of painting with two guides of different sizes, of which one knows what it knows.

The second sees larger pictures and fewer of them, like `photo`; of some prompts it knows nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine import Guide, Session, resume_session, save_session
from gouache.engine.targets import UnknownPromptWarning
from gouache.perceptors import load_perceptor
from gouache.runs.painting import paint
from gouache.settings.config import make_config
from tiny import TinyGenerator, TinyPerceptor, tiny_config

KNOWN = {"hope": 0.0, "a blue boat": 0.4}


class Photo(TinyPerceptor):
    """Sees 20 x 20 pixels, two cutouts of a step at most; keeps silent of hope."""

    name = "photo"
    fingerprint = "d" * 64
    image_size = 20
    most_cutouts = 2

    def __init__(self) -> None:
        super().__init__(seed=8)

    def embed_image(self, image: Tensor) -> Tensor:
        assert image.shape[-2:] == (20, 20)
        return super().embed_image(F.interpolate(image, (8, 8), mode="area"))

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([KNOWN.get(text, 1.0) for text in texts])


def guides() -> list[Guide]:
    return [Guide(TinyPerceptor(20), 0.5), Guide(Photo(), 1.5)]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownPromptWarning)
        yield


def build(**settings: Any) -> Session:
    config = tiny_config(**{"perceptor": ["pocket:0.5", "photo:1.5"], **settings})
    return Session.build(config, generator=TinyGenerator(), perceptor=guides())


def final(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


# Known, unknown, half known; and known beside unknown.
FOUR = ("a red apple:0.6 | rain:-0.5", "hope", "a blue boat:1:0.9", "hope | a cup:2")
LAWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "added": {"combine": "embedding"},
    "busy": {"clip_grad": 0.05, "latent_average": 0.5, "noise_prompts": ("7:0.2",)},
    "multiscale": {"latent": "multiscale"},
    "sampled": {"latent": "codebook-sampling"},
    "tries": {"start_tries": 3, "start_scale": 0.5},
    "rehearsed": {"start_tries": 3, "start_steps": 2, "start_scale": 0.5},
    "one small try": {"start_steps": 2, "start_scale": 0.5},
}


@pytest.mark.parametrize("settings", LAWS.values(), ids=LAWS.keys())
def test_each_picture_of_a_batch_is_the_one_painted_alone(settings: dict[str, Any]) -> None:
    together = build(prompt="", prompts=FOUR, count=4, seed=10, **settings)
    batch = final(together)
    for number, prompt in enumerate(FOUR):
        one = build(prompt=prompt, seed=10 + number, **settings)
        torch.testing.assert_close(batch[number], final(one)[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.scores()[number], one.scores()[0], atol=1e-4, rtol=1e-4)


def test_losses_of_a_batch_are_those_of_the_pictures_alone() -> None:
    together = build(prompt="", prompts=FOUR, count=4, seed=10)
    losses = next(together).losses
    for number, prompt in enumerate(FOUR):
        own = next(build(prompt=prompt, seed=10 + number)).losses
        assert set(own) <= set(losses)
        for name, value in own.items():
            torch.testing.assert_close(losses[name][number], value[0], atol=1e-5, rtol=1e-4)


RUN: dict[str, Any] = {
    "prompt": "a red apple:1:0.1 | hope:0.5 ^ a blue boat",
    "steps": (3, 3),
    "noise_prompts": ("7:0.2",),
    "latent_average": 0.8,
}


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
def test_a_run_resumed_at_any_step_is_the_same(at: int, latent: str, tmp_path: Path) -> None:
    whole = build(**RUN, latent=latent, count=2)
    expected = [step.image for step in whole]
    session = build(**RUN, latent=latent, count=2)
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=guides())
    assert all(map(torch.equal, expected[at:], [step.image for step in again]))
    assert torch.equal(whole.picture(), again.picture())
    assert again.scores().tolist() == whole.scores().tolist()


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("combine", ["loss", "embedding"])
def test_a_step_in_chunks_is_the_same_step(chunk: int, combine: str) -> None:
    asked: dict[str, Any] = {
        "prompt": "", "prompts": FOUR, "count": 4, "num_cutouts": 7, "combine": combine,
        "tv_weight": 0.3,
    }  # fmt: skip
    whole, parts = build(**asked), build(**asked)
    whole.models.memory.chunk, parts.models.memory.chunk = None, chunk
    expected, found = next(whole).losses, next(parts).losses
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(parts.latent(), whole.latent(), atol=1e-5, rtol=1e-5)


def test_one_note_for_all_prompts_that_a_guide_does_not_know() -> None:
    prompts = [f"hope {number}" for number in range(5)]
    KNOWN.update(dict.fromkeys(prompts, 0.0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build(prompt="", prompts=[*prompts, "hope ^ hope 1", "a cup"][:5], count=5)
        build(prompt="hope | hope:2 | a cup ^ hope 1 | hope:-1 ^ a cup", steps=2)
    assert [str(one.message) for one in caught] == [
        "photo does not know 'hope 0', 'hope 1', 'hope 2' and 2 more prompts; "
        "tiny guides there alone",
        "photo does not know 'hope', 'hope 1'; tiny guides there alone",
    ]


def test_a_long_prompt_that_is_not_known_is_cut_in_the_note() -> None:
    prompt = "hope " * 100
    KNOWN[prompt.strip()] = 0.0
    with pytest.warns(UnknownPromptWarning) as caught:
        build(prompt=prompt)
    (told,) = caught
    assert len(str(told.message)) < 120
    assert "\n" not in str(told.message)


def test_who_is_left_is_named_however_many() -> None:
    asked = [Guide(Photo()), Guide(TinyPerceptor()), Guide(TinyPerceptor(seed=9))]
    config = tiny_config(prompt="hope")
    with pytest.warns(UnknownPromptWarning, match="; tiny and tiny guide there alone$"):
        Session.build(config, generator=TinyGenerator(), perceptor=asked)
    asked = [Guide(Photo()), Guide(Photo()), Guide(TinyPerceptor())]
    with pytest.warns(UnknownPromptWarning, match="^photo and photo do not know 'hope'; tiny gui"):
        Session.build(config, generator=TinyGenerator(), perceptor=asked)


# The shipped two.

SMALL: dict[str, Any] = {
    "size": "48x32", "steps": 2, "num_cutouts": 3, "start_tries": 2, "start_steps": 1,
    "device": "cpu",
}  # fmt: skip


def shipped(**settings: Any) -> Session:
    """What is painted by default, but small and short."""
    return Session.build(make_config(**{"prompt": "a castle", **SMALL, **settings}))


def test_two_guide_by_default_and_see_their_own_sizes() -> None:
    session = shipped(start_tries=1, start_steps=0, start_scale=1.0)
    assert [guide.perceptor.name for guide in session.models.guides] == ["pocket", "photo"]
    assert [guide.weight for guide in session.models.guides] == [
        weight for _, weight in make_config().guides
    ]
    alone = next(Session.build(session.config.updated(perceptor="pocket")))
    both = next(session)
    assert torch.equal(both.image, alone.image)  # the start asks no guide, if there is one try
    assert float(both.losses["prompt/0"]) > float(alone.losses["prompt/0"])


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_precision_changes_little(precision: str) -> None:
    whole, half = shipped(precision="fp32"), shipped(precision=precision)
    for one, other in zip(whole, half, strict=True):
        assert set(one.losses) == set(other.losses)
        for name, value in one.losses.items():
            torch.testing.assert_close(other.losses[name], value, atol=0.05, rtol=0.05)
    assert (whole.picture() - half.picture()).abs().mean() < 0.05


def test_in_strips_and_chunks_the_shipped_two_see_the_same() -> None:
    whole, frugal = shipped(precision="fp32"), shipped(precision="fp32")
    memory = frugal.models.memory
    memory.tiled, memory.recompute, memory.chunk = True, True, 1
    expected, found = next(whole), next(frugal)
    torch.testing.assert_close(found.image, expected.image, atol=1e-4, rtol=1e-4)
    for name, value in expected.losses.items():
        torch.testing.assert_close(found.losses[name], value, atol=1e-4, rtol=1e-3)


def test_a_default_run_resumes_and_batches(tmp_path: Path) -> None:
    prompts = ["a castle", "effervescent hope"]
    settings: dict[str, Any] = {"prompt": "", "prompts": prompts, "steps": 3}
    whole = shipped(**settings)
    assert [target.confidence(1) > 0.9 for target in whole.stages[0].targets] == [True, False]
    next(whole)
    save_session(whole, tmp_path / "state")
    expected = final(whole)
    assert torch.equal(final(resume_session(tmp_path / "state")), expected)
    batch = final(shipped(**settings, precision="fp32"))
    for number, prompt in enumerate(prompts):
        alone = final(shipped(prompt=prompt, steps=3, seed=number, precision="fp32"))
        assert (batch[number] - alone[0]).abs().mean() < 0.01


@pytest.mark.parametrize(
    ("given", "named", "size"),
    [
        ("pocket", ["pocket"], (128, 128)),
        ("both", ["pocket", "photo:0.5"], make_config().size),
        ("tiny", ["pocket"], (128, 128)),
    ],
)
def test_guides_as_objects_get_the_settings_of_their_names(
    given: str, named: list[str], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects: dict[str, Any] = {
        "pocket": lambda: load_perceptor("pocket"),
        "both": lambda: [Guide(load_perceptor("pocket")), Guide(load_perceptor("photo"), 0.5)],
        "tiny": TinyPerceptor,
    }
    asked: list[Any] = []
    module = sys.modules["gouache.runs.painting"]
    monkeypatch.setattr(module, "painted", lambda run: asked.append(run.session.config))
    paint("x", generator=TinyGenerator(), perceptor=objects[given](), start="random", steps=1)
    assert asked[0] == make_config(prompt="x", perceptor=named, start="random", steps=1)
    assert asked[0].size == size
