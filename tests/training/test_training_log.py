"""What trainers share: time that counts, an end by SIGTERM, the log and its page, the command."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from gouache.errors import TrainingError
from gouache_training import cli
from gouache_training.calls import Call, Trains
from gouache_training.journal import from_lines, from_printed, log_path, read_rows
from gouache_training.log_page import write_page
from gouache_training.loop import Average, Budget, Meter, Trainer, load_checkpoint


@dataclass(frozen=True)
class Settings:
    batch: int = 2
    save_every: int = 4
    learning_rate: float = 0.1


class LineTrainer(Trainer[nn.Linear, Settings]):
    """Fits a line to random points."""

    log_every = 2

    def __init__(self, steps: int = 8, settings: Settings | None = None) -> None:
        self.settings, self.budget = settings or Settings(), Budget(steps=steps)
        self.device = torch.device("cpu")
        self.rng = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.average, self.meter = Average(self.model), Meter()
        self.term_at = 0

    def step(self) -> None:
        x = torch.randn(2, 1, generator=self.rng)
        loss = (self.model(x) - 3 * x).square().mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.meter.update(loss=loss)
        self.budget.step += 1
        if self.budget.step == self.term_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def state(self) -> dict[str, Any]:
        return super().state() | {"config": {}}

    def also(self) -> dict[str, float]:
        return {"pool": 7.0}

    def look(self, checkpoint: Path) -> dict[str, float]:
        held = self.budget.step % 4 == 0
        return {"psnr": 20.0 + self.budget.step, "psnr (enlarged)": 19.0} if held else {}


def rows_of(path: Path, kind: str) -> list[int]:
    return [row["step"] for row in read_rows(path) if kind in row]


def test_only_time_in_steps_counts(capsys: pytest.CaptureFixture[str]) -> None:
    budget = Budget(minutes=10)
    for _ in range(10):
        budget.count(2.0)
    assert budget.seconds == 20
    budget.count(3600.0)  # the process was stopped
    assert budget.seconds == 22
    assert capsys.readouterr().err.count("a step took 3600 s, 2 s of it are counted") == 1
    budget.count(25.0)  # slow, but who knows
    assert budget.seconds == 47
    assert budget.progress() == pytest.approx(47 / 600)
    slow = Budget(minutes=10)
    for _ in range(10):
        slow.count(100.0)  # steps of this machine are long
    assert slow.seconds == 1000


def test_a_log_lies_beside_the_checkpoint_and_in_it(tmp_path: Path) -> None:
    path = tmp_path / "line.pt"
    LineTrainer(7).run(path)
    text = (tmp_path / "line-log.jsonl").read_text()
    assert load_checkpoint(path)["log"] == text
    rows = [json.loads(line) for line in text.splitlines()]
    begins = [row["begins"] for row in rows if "begins" in row]
    assert [b["trainer"] for b in begins] == ["line"]
    assert begins[0]["settings"] == {"batch": 2, "save_every": 4, "learning_rate": 0.1}
    assert rows_of(path, "values") == [2, 4, 6, 7]
    assert rows_of(path, "held") == [4]
    last = rows[-1]
    assert set(last["values"]) == {"loss", "pool"}
    assert last["rate"] == 0.1
    assert "CPU" in last["machine"]
    assert os.uname().nodename not in text
    assert last["seconds"] >= rows[1]["seconds"]


def test_a_resumed_log_replaces_rows_after_its_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "line.pt"
    first = LineTrainer(4)
    first.run(path)
    with log_path(path).open("a") as file:  # it had got further when the power went
        file.write('{"step": 6, "seconds": 9, "values": {"loss": 99}}\n{"step": 8, "sec')
    second = LineTrainer(8)
    second.restore(path)
    second.run(path)
    assert capsys.readouterr().err.count("1 rows after step 4 are replaced") == 1
    assert rows_of(path, "values") == [2, 4, 6, 8]
    assert rows_of(path, "begins") == [0, 4]
    assert rows_of(path, "held") == [4, 8]
    assert '"loss": 99}' not in log_path(path).read_text()
    whole = LineTrainer(8)
    whole.run(tmp_path / "whole.pt")
    assert torch.equal(whole.model.weight, second.model.weight)
    means = [
        [row["values"] for row in read_rows(p) if "values" in row]
        for p in (path, tmp_path / "whole.pt")
    ]
    assert means[0] == means[1]


def test_the_log_travels_in_the_checkpoint(tmp_path: Path) -> None:
    LineTrainer(4).run(tmp_path / "line.pt")
    there = tmp_path / "elsewhere" / "line.pt"
    there.parent.mkdir()
    (tmp_path / "line.pt").rename(there)
    assert rows_of(there, "values") == [2, 4]
    work = LineTrainer(6)
    work.restore(there)
    work.run(there)
    assert rows_of(there, "values") == [2, 4, 6]


def test_a_new_training_begins_a_new_log(tmp_path: Path) -> None:
    for _ in range(2):
        LineTrainer(4).run(tmp_path / "line.pt")
    assert rows_of(tmp_path / "line.pt", "values") == [2, 4]


def test_sigterm_ends_after_the_step_and_saves(tmp_path: Path) -> None:
    path = tmp_path / "line.pt"
    work = LineTrainer(8)
    work.term_at = 3
    with pytest.raises(KeyboardInterrupt):
        work.run(path)
    assert load_checkpoint(path)["step"] == 3
    again, whole = LineTrainer(8), LineTrainer(8)
    again.restore(path)
    again.run(path)
    whole.run(tmp_path / "whole.pt")
    assert torch.equal(again.model.weight, whole.model.weight)


PRINTED = """\
step 500 9.1% 4589s l1 0.09551 edges 2.8e-05 psnr 18.23 0 pictures/s
held out at step 500: clean psnr 24.32 (enlarged 23.93) lattice 0.059 (0.042); wild edges 1 (1.08)
step 600 27.9% 22135s loss 4.968 right 0.1295 3 pictures/s pool 6210
step 700 27.9% 22199s loss 4.9 right 0.12 3 pictures/s pool 7210
something else
step 600 28.1% 21952s loss 5.026 right 0.1224 22 pictures/s pool 3000
"""


def test_printed_lines_are_read(tmp_path: Path) -> None:
    rows = from_printed(PRINTED)
    assert [row["step"] for row in rows] == [500, 500, 600]
    assert rows[0]["values"] == {"l1": 0.09551, "edges": 2.8e-05, "psnr": 18.23}
    assert rows[1]["held"] == {
        "clean psnr": 24.32,
        "clean psnr (enlarged)": 23.93,
        "clean lattice": 0.059,
        "clean lattice (real)": 0.042,
        "wild edges": 1.0,
        "wild edges (enlarged)": 1.08,
    }
    assert rows[2]["values"] == {"loss": 5.026, "right": 0.1224, "pool": 3000}
    (tmp_path / "old.log").write_text(PRINTED)
    assert read_rows(tmp_path / "old.log") == rows
    (tmp_path / "none.log").write_text("")
    with pytest.raises(TrainingError, match="holds no rows"):
        read_rows(tmp_path / "none.log")
    with pytest.raises(TrainingError, match="no log at"):
        read_rows(tmp_path / "nowhere.jsonl")
    assert from_lines('{"step": 1}\n{"st') == [{"step": 1}]


def test_a_page_shows_it_all(tmp_path: Path) -> None:
    LineTrainer(8).run(tmp_path / "one.pt")
    LineTrainer(40, Settings(learning_rate=0.05)).run(tmp_path / "two.pt")
    (tmp_path / "two-samples").mkdir()
    noise = torch.randint(256, (900, 1600, 3), dtype=torch.uint8).numpy()
    for step in range(100, 4000, 100):
        Image.fromarray(noise).save(tmp_path / "two-samples" / f"step-{step:06d}.jpg")
    page = tmp_path / "page.html"
    words = ["log", str(tmp_path / "one.pt"), str(tmp_path / "two.pt"), "--out", str(page)]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert len(text) <= 3_000_000
    for expected in ("loss", "pool", "learning rate", "psnr", "enlarged", "CPU", "0.05"):
        assert expected in text, expected
    assert "step 100" in text
    assert "step 3,900" in text
    assert 6 <= text.count("data:image/jpeg;base64,") <= 39
    assert not re.search(r"(src|href)=.?http|@import|<script|url\(", text)
    assert "prefers-color-scheme: dark" in text
    assert str(tmp_path) not in text
    assert text.count('class="run"') >= 2


def test_a_page_of_one_row(tmp_path: Path) -> None:
    LineTrainer(1).run(tmp_path / "line.pt")
    write_page([tmp_path / "line.pt"], tmp_path / "page.html")
    assert "loss" in (tmp_path / "page.html").read_text()


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["log", str(tmp_path / "none.pt")])
    assert isinstance(result.exception, TrainingError)
    assert "no checkpoint at" in str(result.exception)


def test_what_does_not_change_is_drawn_as_a_line(tmp_path: Path) -> None:
    """Not as the rounding of its means, largely magnified."""
    LineTrainer(60).run(tmp_path / "line.pt")
    write_page([tmp_path / "line.pt"], tmp_path / "page.html")
    chart = (tmp_path / "page.html").read_text().split("<figcaption>learning rate")[1]
    points = re.findall(r'class="smooth"[^>]* points="([^"]+)"', chart)[0].split()
    assert len(points) == 30
    assert len({point.split(",")[1] for point in points}) == 1


TRAINERS = ("perceptor", "generator", "prior", "autoregressive", "drawing")


@pytest.mark.parametrize("name", TRAINERS)
def test_all_trainers_share_their_options(name: str) -> None:
    told = CliRunner().invoke(cli.app, [name, "--help"], terminal_width=200).output
    for option in Call.__dataclass_fields__:
        assert told.count(f"--{option.replace('_', '-')} ") == 1, option


def test_a_call_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def line(call: Call, seed: int = 5) -> Trains:
        """Fits a line."""
        calls.append((call, seed))
        return LineTrainer(call.steps, call.given(Settings()))

    monkeypatch.setattr("gouache.interrupts.raise_interrupts", lambda: None)
    monkeypatch.setattr(cli, "app", cli.typer.Typer())
    monkeypatch.chdir(tmp_path)
    command = cli._trainer(line)
    assert command.__doc__ == "Fits a line."
    for words in ("--steps 2 --save-every 1", "--resume --steps 4 --seed 6"):
        result = CliRunner().invoke(cli.app, words.split())
        assert result.exit_code == 0, result.output
    assert [seed for _, seed in calls] == [5, 6]
    assert calls[0][0].checkpoint == Path("checkpoints/line.pt")
    assert calls[0][0].given(Settings()) == Settings(save_every=1)
    assert not calls[0][0].goes_on
    assert load_checkpoint(Path("checkpoints/line.pt"))["step"] == 4
    assert rows_of(Path("checkpoints/line.pt"), "begins") == [0, 2]
