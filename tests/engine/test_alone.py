"""Pictures whose words only some guides know: begun small as those would, then settled."""

from __future__ import annotations

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
from gouache.engine import build as building
from gouache.engine import starts as starting
from gouache.engine.alone import LONGER, SETTLING, alone_size, settling
from gouache.engine.styled import StyleWarning
from gouache.engine.targets import UnknownPromptWarning
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import to_pil
from gouache.protocols import Step
from gouache.settings.presets import ALONE, ALONE_WITH_SEVERAL, PRESETS
from gouache.watching import watching
from tiny import TinyGenerator, TinyPerceptor, tiny_config

KNOWN = {"hope": 0.0, "more hope": 0.05}
SMALL: dict[str, Any] = {"start_tries": 2, "start_steps": 2, "start_scale": 1.0}
FINDING: dict[str, Any] = {"start_tries": 3, "start_steps": 2, "start_scale": 0.5}


class Pocket(TinyPerceptor):
    name = "pocket"


class Photo(TinyPerceptor):
    """Sees 20 x 20 pixels, two cutouts of a step at most; keeps silent of hope."""

    name = "photo"
    fingerprint = "d" * 64
    image_size = 20
    most_cutouts = 2

    def embed_image(self, image: Tensor) -> Tensor:
        return super().embed_image(F.interpolate(image, (8, 8), mode="area"))

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([KNOWN.get(text, 1.0) for text in texts])


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(PRESETS, "pocket", {**PRESETS["pocket"], "size": (16, 16)})
    monkeypatch.setitem(ALONE, "start_tries", SMALL["start_tries"])
    monkeypatch.setitem(ALONE, "start_judge", "off")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownPromptWarning)
        yield


def guides() -> list[Guide]:
    return [Guide(Pocket(20)), Guide(Photo(seed=8))]


def config(**settings: Any) -> Any:
    return tiny_config(
        **{"prompt": "hope", "perceptor": ("pocket", "photo"), "steps": (3,), **FINDING, **settings}
    )


def build(**settings: Any) -> Session:
    return Session.build(config(**settings), generator=TinyGenerator(), perceptor=guides())


def finished(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


def found_small(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The codes whose pictures are enlarged, as they were found."""
    found: list[Tensor] = []
    enlarge = building.enlarged

    def enlarged(models: Models, codes: Tensor, small: Canvas, canvas: Canvas) -> Tensor:
        found.append(codes.clone())
        return enlarge(models, codes, small, canvas)

    monkeypatch.setattr(building, "enlarged", enlarged)
    return found


def begun_small(**settings: Any) -> Tensor:
    """The codes that a run of who knows alone starts from, at the size that is enlarged."""
    usual = {"size": (21, 16), "steps": (LONGER * 3,), "perceptor": ("pocket",), "prompt": "hope"}
    alone = tiny_config(**{**SMALL, **usual, **settings})
    session = Session.build(alone, generator=TinyGenerator(), perceptor=[Guide(Pocket(20))])
    return session.models.rounded(session.latent())


def test_it_starts_as_that_of_the_one_who_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_small(monkeypatch)
    build(prompt="", prompts=("hope", "a cup", "hope"), count=3, seed=5)
    assert len(found) == 2
    for seed, codes in zip((5, 7), found, strict=True):
        assert torch.equal(codes, begun_small(seed=seed))


def test_what_is_found_small_is_drawn_and_not_only_enlarged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Edges that a larger picture has are drawn by the drawing decoder, where there is one."""
    soft = build().latent()
    monkeypatch.setattr(TinyGenerator, "drawing", "e" * 64, raising=False)
    monkeypatch.setattr(TinyGenerator, "load_drawing", lambda self: "a network", raising=False)

    def draw(self: TinyGenerator, network: object, codes: Tensor) -> Tensor:
        assert network == "a network"
        return 1 - F.interpolate(self.decode(codes), scale_factor=4)

    monkeypatch.setattr(TinyGenerator, "draw", draw, raising=False)
    assert not torch.equal(build().latent(), soft)


def test_what_is_drawn_for_it_is_judged_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def shared(name: str, *_: object) -> TinyPerceptor:
        asked.append(name)
        return TinyPerceptor(99)

    monkeypatch.setattr(starting, "shared_perceptor", shared)
    assert ALONE["start_judge"] == "off"
    monkeypatch.setitem(ALONE, "start_judge", "another")
    found = found_small(monkeypatch)
    build(seed=5)
    assert asked == ["another"]
    assert torch.equal(found[0], begun_small(seed=5, start_judge="another"))
    build(prompt="a cup")
    build(prompt="hope", start_judge="mine")
    assert asked == ["another", "another", "mine"]


def test_of_several_wishes_more_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn for several at once shows one of them."""
    monkeypatch.setitem(ALONE_WITH_SEVERAL, "start_tries", 4)
    monkeypatch.setitem(ALONE_WITH_SEVERAL, "start_steps", 3)
    found, both = found_small(monkeypatch), "hope | more hope"
    build(prompt=both, start_steps=30, seed=1)
    own = {"prompt": both, "start_steps": 3, "seed": 1}
    assert torch.equal(found[0], begun_small(**own, start_tries=4))
    assert not torch.equal(found[0], begun_small(**own))


def test_it_is_not_sketched_with_the_others() -> None:
    seen: list[Step] = []
    with watching(seen.append):
        build(prompt="", prompts=("a cup", "hope", "a boat"), count=3)
    assert {len(step.image) for step in seen} == {2}
    assert len(seen) == FINDING["start_steps"]


FOUR = ("a red apple:0.6 | rain:-0.5", "hope", "a blue boat | hope", "more hope:2")
LAWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "added": {"combine": "embedding"},
    "multiscale": {"latent": "multiscale", "latent_average": 0.5},
    "sampled": {"latent": "codebook-sampling"},
    "stepwise": {"latent_rule": "stepwise", "latent_drop_every": 2, "latent_drop": 0.04},
}


@pytest.mark.parametrize("settings", LAWS.values(), ids=LAWS.keys())
def test_each_picture_of_a_batch_is_the_one_painted_alone(settings: dict[str, Any]) -> None:
    batch = finished(build(prompt="", prompts=FOUR, count=4, seed=10, **settings))
    for number, prompt in enumerate(FOUR):
        one = finished(build(prompt=prompt, seed=10 + number, **settings))
        torch.testing.assert_close(batch[number], one[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
def test_a_run_resumed_at_any_step_is_the_same(at: int, latent: str, tmp_path: Path) -> None:
    """Changed by hand on the way, too: from then on it moves as others do."""

    def painted(session: Session, until: int = 6) -> list[Tensor]:
        pictures = []
        for step in islice(session, until - session.step_index):
            if step.index == 1:
                session.set_prompt("more hope")
            pictures.append(step.image)
        return pictures

    asked = {"prompt": "hope ^ hope", "steps": (4, 2), "latent": latent}
    whole = build(**asked)
    expected = painted(whole)
    session = build(**asked)
    painted(session, at)
    save_session(session, tmp_path / "state")
    again = resume_session(tmp_path / "state", generator=TinyGenerator(), perceptor=guides())
    assert all(map(torch.equal, expected[at:], painted(again)))
    assert torch.equal(whole.picture(), again.picture())


def test_it_settles_without_a_pull_and_others_move_as_ever() -> None:
    session = build(prompt="", prompts=("hope", "a cup"), count=2, lr_warmup=0, latent="quantized")
    before = session.latent()
    losses = next(session).losses
    moved = (session.latent() - before).abs().amax((1, 2, 3))
    rate = session.config.optimization.learning_rate
    # The first step of Adam is as long as the learning rate.
    assert moved[0] == pytest.approx(SETTLING * rate, rel=1e-3)
    assert moved[1] == pytest.approx(rate, rel=1e-3)
    assert losses["latent"][0] == 0 < losses["latent"][1]


@pytest.mark.parametrize("change", ["words", "picture", "stage"])
def test_what_is_asked_later_is_painted_and_not_only_settled(change: str) -> None:
    session = build(prompt="hope ^ hope", steps=(1, 5) if change == "stage" else (3, 3))
    assert next(session).losses["latent"] == 0
    if change == "words":
        session.set_prompt("hope")
    elif change == "picture":
        session.set_image(1 - session.picture())
    assert next(session).losses["latent"] > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"prompt": "a cup"},
        {"prompt": "hope | a cup"},
        {"prompt": "a cup | hope:-1"},
        {"size": (16, 16)},
        {"size": (8, 16)},
        {"start_steps": 0},
        {"start_scale": 1.0},
    ],
    ids=str,
)
def test_all_others_are_painted_at_their_size_at_once(settings: dict[str, Any]) -> None:
    session = build(**settings)
    assert alone_size(session.config, session.stages[0], session.models) is None
    assert next(session).losses["latent"].min() > 0


@pytest.mark.parametrize("kind", ["object", "file"])
def test_with_an_init_image_it_is_not_painted_small(kind: str, tmp_path: Path) -> None:
    picture = to_pil(torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(1)))
    picture.save(tmp_path / "init.png")
    settings = {"init_image": str(tmp_path / "init.png")} if kind == "file" else {}
    session = Session.build(
        config(**settings),
        generator=TinyGenerator(),
        perceptor=guides(),
        init_image=picture if kind == "object" else None,
    )
    assert next(session).losses["latent"].min() > 0


def test_one_guide_alone_is_asked_at_full_size() -> None:
    session = Session.build(
        config(perceptor=("pocket",)), generator=TinyGenerator(), perceptor=[Guide(Pocket())]
    )
    assert next(session).losses["latent"].min() > 0


def test_tries_that_are_asked_for_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_small(monkeypatch)
    build(start_tries=5, start_choice=5)
    assert torch.equal(found[0], begun_small(start_tries=5, start_choice=5))
    assert not torch.equal(found[0], begun_small())


def test_grounds_of_what_only_settles_are_not_smoothed() -> None:
    session = build(prompt="", prompts=("hope", "a cup"), count=2, tv_weight=1.0)
    smooth = next(session).losses["tv"]
    assert smooth[0] == 0 < smooth[1]


def test_it_is_shown_while_it_is_found_small() -> None:
    shown: list[Step] = []
    with watching(shown.append):
        build()
    assert [step.index for step in shown] == [0, 1]  # the tries together
    assert all(step.image.shape == (1, 3, 24, 32) for step in shown)


def test_what_is_begun_in_a_style_does_not_settle() -> None:
    session = build()
    asked = session.config, session.stages, session.models
    found = settling(*asked)
    assert found is not None
    assert found.tolist() == [True]
    assert settling(*asked, styled=(True,)) is None


def test_weather_is_drawn_over_it_and_not_asked_of_who_knows_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of "hope in the snow" the small picture is that of "hope"; what all know keeps its words."""
    for words in ("hope in the snow", "hope, snowy hills"):
        monkeypatch.setitem(KNOWN, words, 0.0)
    found = found_small(monkeypatch)
    build()
    told: dict[str, str] = {}
    for prompt in ("hope in the snow", "hope, snowy hills", "a fish in the snow"):
        with pytest.warns(StyleWarning) as warned:
            build(prompt=prompt, style_weight=5.0)
        [said] = [one.message for one in warned if isinstance(one.message, StyleWarning)]
        [told[prompt]] = said.details["drawn"]
    assert told == {
        "hope in the snow": "hope",
        "hope, snowy hills": "hope, snowy hills",
        "a fish in the snow": "a fish in the snow",
    }
    assert torch.equal(found[1], found[0])
