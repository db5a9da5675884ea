"""`gouache train evaluate`: which prompts are painted, by which guides, and who marks them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gouache.apps.cli.main import app
from gouache.errors import TrainingError
from gouache.settings.config import PaintConfig
from gouache_training import evaluate
from gouache_training.class_prompts import CLASS_PROMPTS, TUNING_PROMPTS
from gouache_training.evaluate import JUDGES, SHEETS, evaluate_models
from gouache_training.exam import QUESTIONS
from gouache_training.marks import ClassExaminer, Examiner, RefereeExaminer
from gouache_training.pack import PictureSet
from gouache_training.probe import ProbeExaminer, ProbeTraining, train_probe
from tiny import TinyGenerator, TinyPerceptor
from training.test_exam import asked
from training.test_judge import tiny_judge

CLASSES = tuple(each.name for each in (*CLASS_PROMPTS, *TUNING_PROMPTS))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command passes on."""
    found: dict[str, Any] = {}
    names = ("data", "models", "out", "starts", "seeds", "prompts", "judge", "perceptors", "cache")

    def remember(*arguments: Any, **settings: Any) -> str:
        found.update(zip(names, arguments, strict=True), settings=settings)
        return "numbers"

    monkeypatch.setattr(evaluate, "evaluate_models", remember)
    monkeypatch.setattr("gouache.interrupts.raise_interrupts", lambda: None)
    return found


@pytest.mark.parametrize(
    ("options", "prompts", "judge"),
    [
        ([], "", "referee"),
        (["--start", "prior"], "", "referee"),  # as before: the sixty, by the referee
        (["--prompts", "classes", "--judge", "lite2"], "classes", "lite2"),
        (["--prompts", "tuning"], "tuning", "referee"),
        (["--judge", "lite2"], "sixty", "lite2"),
        (["--perceptor", "pocket", "--perceptor", "photo:0.5"], "sixty", "referee"),
    ],
)
def test_options_arrive(
    given: dict[str, Any], options: list[str], prompts: str, judge: str
) -> None:
    result = CliRunner().invoke(app, ["train", "evaluate", *options])
    assert result.exit_code == 0, result.output
    assert (given["prompts"], given["judge"]) == (prompts, judge)
    assert list(given["starts"]) == (["prior"] if "--start" in options else [])
    assert len(given["perceptors"]) == options.count("--perceptor")


@pytest.mark.parametrize("option", ["--judge", "--prompts"])
def test_other_names_are_usage_errors(given: dict[str, Any], option: str) -> None:
    result = CliRunner().invoke(app, ["train", "evaluate", option, "nobody"])
    assert result.exit_code == 2
    assert not given


def test_the_command_offers_what_there_is() -> None:
    from gouache_training.cli import Judges, Prompts

    assert [each.value for each in Prompts] == list(SHEETS)
    assert [each.value for each in Judges] == list(JUDGES)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Tiny models in place of all; remembers which were loaded and what was examined."""
    found: dict[str, Any] = {"loaded": [], "settings": {}}

    def load(name: str) -> TinyPerceptor:
        found["loaded"].append(Path(name).name)
        return TinyPerceptor(seed=len(found["loaded"]))

    def paint(generator: Any, guides: Any, asked: Sequence[Any], seed: int, settings: Any) -> Any:
        found.update(guides=guides, settings=settings)
        return evaluate.random_pictures(generator, 9, len(asked))

    def probe(judge: Any, data: Path, cache: Path) -> Any:
        return train_probe(judge, asked(), ProbeTraining(1, 1, 32, iterations=1))

    monkeypatch.setattr(evaluate, "load_perceptor", load)
    monkeypatch.setattr(evaluate, "load_generator", lambda name: TinyGenerator())
    monkeypatch.setattr(evaluate, "load_judge", lambda cache: tiny_judge(CLASSES))
    monkeypatch.setattr(evaluate, "load_probe", probe)
    monkeypatch.setattr(evaluate, "measure", lambda *_: {"PSNR dB": 1.0})
    monkeypatch.setattr(evaluate, "paint_sheet", paint)
    monkeypatch.setattr(evaluate, "real_pictures", real)
    pictures = asked()  # which are loaded, too, the first time
    monkeypatch.setattr(PictureSet, "load", lambda path: pictures)
    examine = evaluate.examine

    def watched(examiner: Examiner, *arguments: Any, **settings: Any) -> Any:
        found["examiner"] = examiner
        return examine(examiner, *arguments, **settings)

    monkeypatch.setattr(evaluate, "examine", watched)
    return found


def real(pictures: PictureSet, seed: int, size: int, rows: Any = None) -> Any:
    from gouache_training.exam import real_pictures

    return real_pictures(pictures, seed, 32, rows)


@pytest.mark.parametrize(
    ("prompts", "judge", "examiner"),
    [
        ("sixty", "referee", RefereeExaminer),
        ("classes", "referee", RefereeExaminer),
        ("classes", "lite2", ClassExaminer),
        ("tuning", "lite2", ClassExaminer),
        ("sixty", "lite2", ProbeExaminer),
    ],
)
def test_every_judge_marks_every_list(
    tmp_path: Path, painted: dict[str, Any], prompts: str, judge: str, examiner: type
) -> None:
    text = evaluate_models(tmp_path, None, tmp_path, (), 1, prompts, judge)
    assert isinstance(painted["examiner"], examiner)
    assert ("real pictures" in text) is (prompts == "sixty")
    assert ("mean log p" in text) is (judge == "lite2")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["exam by"]["judge"] == judge
    assert numbers["exam"]["painted, start prior"]["all"]["total"] == len(SHEETS[prompts])
    assert [path.name for path in tmp_path.glob("*.png")] == ["sheet-prior-0.png"]


def test_the_default_guides_paint_unless_others_are_given(
    tmp_path: Path, painted: dict[str, Any]
) -> None:
    evaluate_models(tmp_path, None, tmp_path, (), 1, "tuning")
    assert painted["settings"]["perceptor"] == PaintConfig().perceptor
    evaluate_models(tmp_path, None, tmp_path, (), 1, "tuning", perceptors=["pocket", "photo:0.5"])
    assert [guide.weight for guide in painted["guides"]] == [1, 0.5]
    assert painted["settings"]["perceptor"] == ("pocket", "photo:0.5")
    assert "photo" in painted["loaded"]


@pytest.mark.parametrize("prompts", ["sixty", "tuning"])
@pytest.mark.parametrize(
    ("judge", "guides"), [("lite2", True), ("lite2", False), ("referee", True)]
)
def test_a_judge_that_guides_is_told(
    tmp_path: Path,
    painted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prompts: str,
    judge: str,
    guides: bool,
) -> None:
    monkeypatch.setattr(evaluate, "guides_too", lambda judge, perceptor: guides)
    evaluate_models(tmp_path, None, tmp_path, (), 1, prompts, judge)
    said = "".join(capsys.readouterr())
    told = said.count("guides, too: its marks flatter")
    assert told == (judge == "lite2" and guides)


def test_what_earlier_versions_exported_is_evaluated(
    tmp_path: Path, painted: dict[str, Any]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "perceptor.safetensors").touch()
    evaluate_models(tmp_path, tmp_path / "mine", tmp_path, ["random"], 1)
    assert painted["loaded"] == ["perceptor.safetensors", "referee.safetensors.gz"]


def test_models_of_ones_own_guide_alone(tmp_path: Path, painted: dict[str, Any]) -> None:
    evaluate_models(tmp_path, tmp_path / "mine", tmp_path, ["random"], 1)
    assert painted["loaded"] == ["perceptor.safetensors.gz", "referee.safetensors.gz"]
    assert painted["settings"]["perceptor"] == ("pocket",)
    assert len(painted["guides"]) == 1


def test_nothing_is_painted_without_being_asked(tmp_path: Path, painted: dict[str, Any]) -> None:
    text = evaluate_models(tmp_path, None, tmp_path)
    assert "examiner" not in painted
    assert text == "PSNR dB  1.000"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"prompts": "many"}, "got prompts 'many', expected one of sixty, classes, tuning"),
        ({"judge": "me"}, "got judge 'me', expected one of referee, lite2"),
    ],
)
def test_what_there_is_not_is_one_line(
    tmp_path: Path, choice: dict[str, str], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        evaluate_models(tmp_path, None, tmp_path, **choice)  # type: ignore[arg-type]


def test_lists_of_prompts_are_these() -> None:
    assert SHEETS["sixty"] is QUESTIONS
    assert {name: len(sheet) for name, sheet in SHEETS.items()} == {
        "sixty": 60,
        "classes": 60,
        "tuning": 20,
    }
