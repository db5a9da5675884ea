"""Who watches a start sees every try and may go on from one at once; settings make it again."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.engine import build as building
from gouache.engine import resume_session, save_session
from gouache.engine.tries import CALM, MARGIN
from gouache.errors import ConfigError
from gouache.protocols import Step
from gouache.watching import Watcher, watching
from tiny import TinyGenerator, TinyPerceptor, tiny_session

TRIES: dict[str, Any] = {"start_tries": 3, "start_steps": 4, "start_scale": 0.5}


class Chooser(Watcher):
    """Chooses a try when so many steps of those from `group` are done."""

    sees_all = True

    def __init__(self, number: int | None = None, step: int = 2, group: int = 1) -> None:
        super().__init__()
        self.wish, self.step, self.group = number, step, group
        self.seen: list[tuple[int, int, int, int]] = []  # first, how many, of, step
        self.told: list[str] = []
        self.pictures: list[Tensor] = []

    def doing(self, what: str) -> None:
        self.told.append(what)

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        self.seen.append((first, len(pictures), tries, step))
        self.pictures.append(pictures)

    def choice(self) -> int | None:
        first, _, _, step = self.seen[-1]
        return self.wish if first >= self.group and step >= self.step else None


def begun(watcher: Watcher, **settings: Any) -> Any:
    with watching(watcher):
        return tiny_session(**{**TRIES, **settings})


def test_all_tries_are_shown_from_before_their_first_step() -> None:
    watcher = Chooser()
    session = begun(watcher)
    assert watcher.seen == [(1, 3, 3, step) for step in range(5)]
    assert watcher.pictures[0].shape == (3, 3, 12, 16)
    assert torch.equal(session.latent(), tiny_session(**TRIES).latent())
    assert watcher.told[:2] == ["loading the models", "reading the words"]
    assert (session.config.latents.start_choice, session.config.latents.start_steps) == (0, 4)


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("number", [1, 2, 3, 0])
def test_a_try_chosen_on_the_way_is_made_again_by_its_settings(number: int, scale: float) -> None:
    session = begun(Chooser(number), start_scale=scale)
    latents = session.config.latents
    assert latents.start_steps == 2
    assert latents.start_choice == number or (number == 0 and 1 <= latents.start_choice <= 3)
    chosen = {**TRIES, "start_scale": scale, "start_steps": 2}
    again = tiny_session(**chosen, start_choice=latents.start_choice)
    assert torch.equal(session.latent(), again.latent())
    assert torch.equal(
        torch.stack([s.image for s in session]), torch.stack([s.image for s in again])
    )
    others = [tiny_session(**chosen, start_choice=k) for k in (1, 2, 3)]
    assert len({tuple(other.latent().flatten().tolist()) for other in others}) == 3


@pytest.mark.parametrize(
    ("number", "group", "steps", "seen"),
    [
        (1, 3, 4, [(1, 2, 4)] * 4 + [(3, 2, 4)] * 2),  # of a group that is done
        (4, 3, 2, [(1, 2, 4)] * 4 + [(3, 2, 4)] * 2),
        (4, 1, 4, [(1, 2, 4)] * 2 + [(3, 2, 4)] * 4),  # of one that is not begun
    ],
)
def test_tries_in_groups(
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    group: int,
    steps: int,
    seen: list[tuple[int, int, int]],
) -> None:
    monkeypatch.setattr(building, "TRIES_TOGETHER", 2)
    watcher = Chooser(number, group=group)
    session = begun(watcher, start_tries=5)
    latents = session.config.latents
    assert [one[:3] for one in watcher.seen[1:]] == [(f, n, 5) for f, n, _ in seen]
    assert (latents.start_choice, latents.start_steps) == (number, steps)
    chosen = {"start_tries": 5, "start_choice": number, "start_steps": steps}
    watcher = Chooser()
    again = begun(watcher, **chosen)
    assert torch.equal(session.latent(), again.latent())
    assert {first for first, *_ in watcher.seen[1:]} == {1 if number < 3 else 3}  # no others


class Follower(Watcher):
    """Sees which try leads, and the steps of it."""

    sees_all = True

    def __init__(self) -> None:
        super().__init__(self.shown.append)
        self.leads: list[int] = []
        self.tries: list[Tensor] = []

    @cached_property
    def shown(self) -> list[Step]:
        return []

    def leading(self, number: int) -> None:
        self.leads.append(number)

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        self.tries += [pictures] if step else []


@pytest.mark.parametrize(("together", "leads_of_all"), [(6, False), (2, True)])
def test_the_try_that_leads_is_shown(
    monkeypatch: pytest.MonkeyPatch, together: int, leads_of_all: bool
) -> None:
    """By the losses of its words, a calm mean of them; of what is painted, and of all."""
    monkeypatch.setattr(building, "TRIES_TOGETHER", together)
    more = {"start_tries": 5, "start_steps": 12, "start_scale": 1.0, "steps": (12,), "seed": 2}
    settings = {**TRIES, **more}
    marks: list[list[float]] = []
    for choice in range(1, 6):  # of which the steps are shown then
        watcher = Follower()
        begun(watcher, **settings, start_choice=choice)
        assert set(watcher.leads) == {choice}
        own: list[float] = []
        for shown in watcher.shown:
            loss = float(shown.losses["prompt/0"][0])
            own.append(CALM * own[-1] + (1 - CALM) * loss if own else loss)
        marks.append(own)

    watcher = Follower()
    session = begun(watcher, **settings)
    assert torch.equal(session.latent(), tiny_session(**settings).latent())
    expected: list[tuple[int, int]] = []
    for first in range(0, 5, together):
        group = range(first, min(5, first + together))
        ahead: int | None = None
        for step in range(12):
            best = min(group, key=lambda k: marks[k][step])
            if ahead is None or marks[best][step] < (1 - MARGIN) * marks[ahead][step]:
                ahead = best
            before = min([ahead, *range(first)], key=lambda k: marks[k][step])
            expected.append((ahead, before + 1))
    assert watcher.leads == [leads for _, leads in expected]
    assert len(set(watcher.leads)) > 1  # else this tells nothing
    for seen, tries, (best, _) in zip(watcher.shown, watcher.tries, expected, strict=True):
        assert torch.equal(seen.image[0], tries[best % together])
    assert any(best + 1 != leads for best, leads in expected) == leads_of_all


def test_the_best_is_the_choice_that_it_is_recorded_as() -> None:
    plain = tiny_session(**TRIES)
    found = [tiny_session(**TRIES, start_choice=k).latent() for k in (1, 2, 3)]
    assert sum(torch.equal(plain.latent(), one) for one in found) == 1


def test_a_choice_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="start_choice is 4 and there are 3 tries"):
        tiny_session(**TRIES, start_choice=4)
    assert begun(Chooser(4)).config.latents.start_choice == 0  # nobody can have meant it


def test_of_several_pictures_none_is_asked() -> None:
    session = begun(Chooser(2), count=2)
    assert torch.equal(session.latent(), tiny_session(**TRIES, count=2).latent())


def test_a_run_that_was_chosen_goes_on_from_its_file(tmp_path: Any) -> None:
    session = begun(Chooser(3))
    next(session)
    save_session(session, tmp_path / "state.safetensors")
    record = session.record({}, 0)
    assert record["config"]["latents"]["start_choice"] == 3
    again = resume_session(
        tmp_path / "state.safetensors", generator=TinyGenerator(), perceptor=TinyPerceptor()
    )
    assert torch.equal(next(session).image, next(again).image)


def test_a_choice_after_the_last_step_still_counts() -> None:
    class Late(Chooser):
        asked = 0

        def choice(self) -> int | None:
            self.asked += 1
            return 3 if self.asked > 4 else None

    session = begun(Late())
    assert (session.config.latents.start_choice, session.config.latents.start_steps) == (3, 4)
    assert torch.equal(session.latent(), tiny_session(**TRIES, start_choice=3).latent())
