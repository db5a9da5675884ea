"""One loop for every face: events, listeners, other painters, places to work."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops
from torch import Tensor

import gouache
from gouache.editing.config import EditConfig
from gouache.editing.editor import make_plan
from gouache.engine import Session
from gouache.errors import ConfigError, DivergedError
from gouache.protocols import Step
from gouache.runs.drive import Diverged, Done, Event, Interrupted, Prepared, Run, Stepped, drive
from gouache.runs.executors import Inline, Processes, Threads
from gouache.runs.job import Job
from gouache.runs.painting import painted
from gouache.settings.config import PaintConfig, make_config
from tiny import tiny_session

SOURCE = Path(gouache.__file__).parent


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def told(run: Run, wanted: Any = None, **how: Any) -> list[Event]:
    events: list[Event] = []
    drive(run, [lambda event, _: events.append(event)], wanted or (lambda: False), **how)
    return events


def test_one_place_iterates_what_paints() -> None:
    """`for step in session` and `next(session)`, by whatever name, are in engine/loop.py only."""
    iterates = re.compile(
        r"(\bnext\(|\bfor \w+ in |islice\(|enumerate\(|list\()\s*"
        r"(self\.)?_?(session|painter|painting|editing\.session|run\.session)\b(?!\.)"
        r"|(session|painter)\.__next__"
    )
    files = [*SOURCE.rglob("*.py"), *(SOURCE.parent / "gouache_bench").glob("*.py")]
    found = set()
    for path in files:
        text = re.sub(r'"""[\s\S]*?"""', "", path.read_text(encoding="utf-8"))
        if iterates.search(text):
            found.add(path.name)
    assert found == {"loop.py"}


def test_a_run_tells_all_that_happens() -> None:
    events = told(Run(tiny_session(steps=3)))
    assert names(events) == ["Prepared", "Stepped", "Stepped", "Stepped", "Done"]
    assert events[0] == Prepared(0, 3)
    steps = [event for event in events if isinstance(event, Stepped)]
    assert [event.step.index for event in steps] == [0, 1, 2]
    assert [event.last for event in steps] == [False, False, True]
    assert events[-1] == Done(3)


def test_it_stops_between_two_steps_and_goes_on() -> None:
    whole = tiny_session(steps=4)
    drive(Run(whole))
    session, seen = tiny_session(steps=4), []
    run = Run(session)

    def listener(event: Event, _: Run) -> None:
        seen.append(event)

    drive(run, [listener], lambda: session.step_index == 2)
    assert seen[-1] == Interrupted(2, 4)
    assert told(run)[0] == Prepared(2, 4)
    assert torch.equal(session.picture(), whole.picture())


@pytest.mark.parametrize(("within", "done"), [(True, 0), (False, 1)])
def test_inside_a_step_it_stops_only_if_it_may(within: bool, done: int) -> None:
    session, asked = tiny_session(steps=2), []

    def wanted() -> bool:
        asked.append(1)
        return len(asked) > 1

    events = told(Run(session), wanted, within=within)
    assert events[-1] == Interrupted(done, 2)
    assert session.step_index == done


class Sums:
    """A face in ten lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: Event, run: Run) -> None:
        match event:
            case Stepped(step=step):
                self.lines.append(f"{step.index + 1}/{step.num_steps}")
            case Done():
                self.lines.append(f"done: {run.record(0)['prompt']}")


def test_a_new_face_is_one_listener() -> None:
    sums = Sums()
    drive(Run(tiny_session(steps=2)), [sums])
    assert sums.lines == ["1/2", "2/2", "done: a red apple"]


def test_what_diverges_is_told_with_its_last_good_picture() -> None:
    session = tiny_session(steps=4)
    events: list[Event] = []

    def spoil(event: Event, run: Run) -> None:
        events.append(event)
        if isinstance(event, Stepped) and event.step.index == 1:
            with torch.no_grad():
                next(iter(run.session._latent.parameters())).fill_(torch.nan)

    with pytest.raises(DivergedError):
        drive(Run(session), [spoil])
    assert names(events) == ["Prepared", "Stepped", "Stepped", "Diverged"]
    assert isinstance(events[2], Stepped)
    assert isinstance(events[3], Diverged)
    assert torch.equal(events[3].error.image, events[2].step.image)


def test_losses_are_nan_where_a_picture_has_none_for_every_listener() -> None:
    session = tiny_session(prompt="", prompts=("a cup", "a cup | rain"), count=2, steps=2)
    steps = [event for event in told(Run(session)) if isinstance(event, Stepped)]
    assert [bool(one.losses["prompt/1"].isnan()[0]) for one in steps] == [True, True]
    assert not any(one.losses["prompt/1"].isnan()[1] for one in steps)
    painting = painted(Run(tiny_session(prompt="a cup ^ a hat | rain", steps=(1, 2))))
    assert painting.losses["prompt/1"].isnan().flatten().tolist() == [True, False, False]


class Brighter:
    def __call__(self, picture: Image.Image, codes: Tensor | None = None) -> Image.Image:
        return ImageChops.add(picture, Image.new("RGB", picture.size, (40, 40, 40)))

    def record(self) -> dict[str, Any]:
        return {"name": "brighter", "by": 40}


def test_finishing_is_done_in_order_and_recorded() -> None:
    plain, run = tiny_session(steps=1), Run(tiny_session(steps=1), (Brighter(), Brighter()))
    drive(Run(plain))
    result = painted(run)
    expected = Brighter()(Brighter()(Run(plain).pictures()[0]))
    assert ImageChops.difference(result.image, expected).getbbox() is None
    assert result.records[0]["finish"] == [{"name": "brighter", "by": 40}] * 2


class Stripes:
    """Paints no latent and asks no guide: each step draws one more stripe."""

    num_steps = 5

    def __init__(self, config: PaintConfig) -> None:
        self.step_index = 0
        width, height = config.size
        self._image = torch.zeros(1, 3, height, width)

    @property
    def finished(self) -> bool:
        return self.step_index >= self.num_steps

    def __next__(self) -> Step:
        self._image[..., self.step_index * 2] = 1.0
        self.step_index += 1
        losses = {"left": torch.tensor([float(self.num_steps - self.step_index)])}
        return Step(self.step_index - 1, self.num_steps, 0, self._image.clone(), losses)

    def picture(self) -> Tensor:
        return self._image.clone()

    def scores(self) -> Tensor:
        return torch.zeros(0)

    def own_losses(self, losses: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return losses

    def record(self, losses: Mapping[str, Tensor], picture: int) -> dict[str, Any]:
        return {"prompt": "stripes", "picture": picture}


@dataclass(frozen=True)
class Striped:
    """The system that a job names."""

    def prepare(self, config: PaintConfig) -> Stripes:
        return Stripes(config)


def test_a_painter_of_another_kind_is_driven_like_ours() -> None:
    job = Job(make_config(prompt="stripes", size=(32, 16)), system=Striped())
    run = job.begin()
    events = told(run)
    assert names(events) == ["Prepared", *["Stepped"] * 5, "Done"]
    assert run.scores() == []
    assert run.record(0)["prompt"] == "stripes"
    with pytest.raises(ConfigError, match="no state"):
        _ = run.session
    outcome = Inline().submit(job).result()
    assert outcome.pictures[0].size == (32, 16)
    assert outcome.losses == {"left": [0.0]}


QUICK: dict[str, Any] = {
    "perceptor": ("pocket",),
    "size": (32, 32),
    "steps": 2,
    "num_cutouts": 2,
    "start_tries": 1,
    "start_steps": 0,
}


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is None


def test_a_job_gives_the_same_pixels_wherever_it_is_done() -> None:
    source = Image.radial_gradient("L").convert("RGB").resize((48, 48))
    mask = Image.new("L", (48, 48), 0)
    mask.paste(255, (8, 8, 40, 40))
    plan = make_plan(source, EditConfig(composite=True, feather=0), mask=mask)
    jobs = [
        Job(make_config(prompt="a star", seed=3, count=2, **QUICK)),
        Job(make_config(prompt="a star", **QUICK), source=plan),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = [Inline().submit(job).result() for job in jobs]
        for executor in (Threads(2), Processes(1)):
            with executor:
                there = [ticket.result() for ticket in [executor.submit(job) for job in jobs]]
            for one, other in zip(here, there, strict=True):
                assert all(map(same, one.pictures, other.pictures))
                assert one.records == other.records
                assert one.losses == other.losses
    assert here[1].records[0]["finish"] == [{"name": "composite"}]
    assert same(here[1].pictures[0].crop((0, 0, 48, 6)), source.crop((0, 0, 48, 6)))
    assert pickle.loads(pickle.dumps(jobs[0])) == jobs[0]


def test_what_goes_wrong_elsewhere_comes_back() -> None:
    job = Job(make_config(prompt="a star:0", **QUICK))
    for executor in (Inline(), Threads(1)):
        with pytest.raises(gouache.GouacheError):
            executor.submit(job).result()
    assert isinstance(Run(tiny_session()).session, Session)


LISTENING = """
import signal
from gouache.runs.executors import Processes

def deaf():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

if __name__ == "__main__":
    with Processes(2) as processes:
        print([ticket.result() for ticket in [processes.call(deaf), processes.call(deaf)]])
"""


def test_no_process_hears_ctrl_c_not_even_the_first_one(tmp_path: Path) -> None:
    """They finish what they do: with the first of all Python lets Ctrl-C be heard again."""
    program = tmp_path / "listening.py"
    program.write_text(LISTENING)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, program], env=env, capture_output=True, text=True)
    assert done.stdout == "[True, True]\n", done.stderr
