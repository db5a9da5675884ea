"""How pictures are marked and counted, and the tables of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache_training.class_prompts import CLASS_PROMPTS, ClassPrompt
from gouache_training.exam import QUESTIONS
from gouache_training.marks import (
    ClassExaminer,
    Marks,
    RefereeExaminer,
    Score,
    as_plain,
    count,
    joined,
    marks_among,
    table_text,
)
from training.test_judge import NAMES, random_pictures, tiny_judge


def numbers_of(group: str) -> list[int]:
    return [i for i, question in enumerate(QUESTIONS) if question.group == group]


class Knowing:
    """A referee that reads a question's number from the red of the picture's first pixel."""

    name, fingerprint, image_size, embed_dim, bank = "knowing", "", 8, 60, None

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        assert list(texts) == [question.prompt for question in QUESTIONS]
        return torch.eye(60)

    def embed_image(self, image: Tensor) -> Tensor:
        assert image.shape[1:] == (3, 8, 8)
        number = (image[:, 0, 0, 0] * 100).round().long()
        return torch.nn.functional.one_hot(number, 60).float()


def test_the_nearest_prompt_is_named_first() -> None:
    told = torch.tensor([3, 1, 2, 7, *range(4, 60)])
    image = (told / 100).view(-1, 1, 1, 1).expand(-1, 3, 24, 24)
    marks = RefereeExaminer(Knowing()).marks(image, QUESTIONS)
    assert (marks.ranks[[0, 3]] == 1).all()
    assert (marks.ranks[[1, 2, *range(4, 60)]] == 0).all()
    assert marks.log_probabilities is None


def test_ranks_among_answers_of_several_sheets() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]).log_softmax(-1)
    marks = marks_among(torch.cat([scores, scores.flip(0)]), sure=True)
    assert marks.ranks.tolist() == [0, 1, 2] * 2
    assert marks.log_probabilities is not None
    torch.testing.assert_close(marks.log_probabilities[:3], scores[0])


def test_right_answers_are_counted_by_group() -> None:
    ranks = torch.zeros(120, dtype=torch.long)
    for k in numbers_of("animals"):
        ranks[60 + k] = 4
    ranks[60 + 5] = 5
    counted = count(Marks(ranks), QUESTIONS)
    assert counted["all"] == Score(60 + 49, 119, 120)
    assert counted["animals"] == Score(10, 20, 20)
    assert counted["objects"] == Score(19, 19, 20)
    assert counted["two"] == Score(20, 20, 20)
    assert len(counted) == 7


def test_log_probabilities_are_means_of_the_group() -> None:
    asked = [ClassPrompt("a", "cat"), ClassPrompt("b", "dog")]
    told = torch.tensor([-1.0, -2.0, -3.0, -6.0])
    counted = count(Marks(torch.zeros(4), told), asked)
    assert [counted[k].log_probability for k in ("all", "a", "b")] == [-3, -2, -4]
    assert list(count(Marks(torch.zeros(4), told), asked[:1] * 2)) == ["all"]  # one group is all


def test_classes_are_marked_sheet_by_sheet() -> None:
    judge, pictures = tiny_judge(), random_pictures(6)
    asked = [ClassPrompt("x", name) for name in ("cat", "kite", "tree")]
    marks = ClassExaminer(judge).marks(pictures, asked)
    verdicts = judge.verdicts(pictures, ["cat", "kite", "tree"] * 2)
    assert marks.ranks.tolist() == [verdict.rank for verdict in verdicts]
    halves = [ClassExaminer(judge).marks(part, asked) for part in pictures.split(3)]
    assert torch.equal(joined(halves).ranks, marks.ranks)
    assert set(NAMES) >= {verdict.first for verdict in verdicts}


def test_what_names_no_class_is_not_marked_by_classes() -> None:
    with pytest.raises(TrainingError, match="name no classes"):
        ClassExaminer(tiny_judge()).marks(random_pictures(60), QUESTIONS)


def test_tables_have_a_row_per_kind_and_a_column_per_group() -> None:
    text = table_text(
        {
            "real": {"all": Score(20, 20, 20), "two": Score(5, 6, 10)},
            "none": {"all": Score(0, 2, 20), "two": Score(1, 2, 10)},
        }
    )
    lines = text.splitlines()
    assert lines[0] == "| pictures | all | in five | two |"
    assert lines[1] == "| --- | --- | --- | --- |"
    assert lines[2] == "| real | 100% (84%-100%) | 100% | 50% (24%-76%) |"
    assert lines[3].startswith("| none | 0% (0%-16%) | 10% | 10% (")
    assert len(lines) == 4


def test_tables_tell_probabilities_where_there_are_some() -> None:
    tables = {"real": {"all": Score(1, 2, 3, -0.5)}, "none": {"all": Score(0, 1, 3)}}
    lines = table_text(tables).splitlines()
    assert lines[0] == "| pictures | all | in five | mean log p |"
    assert lines[2].endswith("| 67% | -0.50 |")
    assert lines[3].endswith("| 33% | - |")
    assert json.loads(json.dumps(as_plain(tables)))["real"]["all"]["log_probability"] == -0.5


def test_every_class_prompt_can_be_marked() -> None:
    names = tuple(each.name for each in CLASS_PROMPTS)
    marks = ClassExaminer(tiny_judge(names)).marks(random_pictures(60), CLASS_PROMPTS)
    assert marks.log_probabilities is not None
    assert math.isfinite(float(marks.log_probabilities.sum()))
