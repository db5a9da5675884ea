"""Who says what painted pictures show, and how that is counted.

An examiner is shown pictures of a list of prompts and says of each how many other answers it finds
likelier than the right one. Examiners never guide. There are three: a referee, trained on icons as
the guides are, which picks one of the prompts; a judge that has seen photographs, which picks one
of a thousand classes; and a probe, that judge with a head for the sixty prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.words import embed_texts
from gouache.errors import TrainingError
from gouache.intervals import share
from gouache.protocols import Perceptor
from gouache_training.class_prompts import ClassPrompt
from gouache_training.judge import Judge

__all__ = [
    "Asked",
    "ClassExaminer",
    "Examiner",
    "Marks",
    "RefereeExaminer",
    "Score",
    "Table",
    "as_plain",
    "count",
    "joined",
    "marks_among",
    "table_text",
]


class Asked(Protocol):
    """A prompt that pictures are painted of, and the group that it is counted in."""

    @property
    def group(self) -> str: ...
    @property
    def prompt(self) -> str: ...


@dataclass(frozen=True)
class Marks:
    """What an examiner says of N pictures.

    Attributes:
        ranks: (N,) how many answers it finds likelier than the right one; 0 is named first.
        log_probabilities: (N,) of the right one, where it tells probabilities.
    """

    ranks: Tensor
    log_probabilities: Tensor | None = None


class Examiner(Protocol):
    """Marks pictures."""

    name: str

    def marks(self, pictures: Tensor, asked: Sequence[Asked]) -> Marks:
        """Pictures (S*len(asked),3,H,W) in [0,1]: S sheets of all prompts in their order."""
        ...


@dataclass(frozen=True)
class Score:
    """How many of `total` pictures were named first and among the first five; the mean logarithm
    of the right answer's probability, None where that is not told."""

    first: int
    five: int
    total: int
    log_probability: float | None = None


Table: TypeAlias = dict[str, Score]


def marks_among(scores: Tensor, sure: bool) -> Marks:
    """From scores (S*K,K) of K answers by sheets of K pictures, the k-th of which shows the k-th.

    `sure`: they are log-probabilities.
    """
    answers = scores.shape[1]
    own = scores.gather(1, torch.arange(len(scores), device=scores.device)[:, None] % answers)
    ranks = (scores > own).sum(1)
    return Marks(ranks.cpu(), own[:, 0].cpu() if sure else None)


class RefereeExaminer:
    """A perceptor that picks one of the prompts; its similarities are no probabilities."""

    name = "referee"

    def __init__(self, referee: Perceptor) -> None:
        self.referee = referee

    @torch.no_grad()
    def marks(self, pictures: Tensor, asked: Sequence[Asked]) -> Marks:
        told = embed_texts([each.prompt for each in asked], self.referee)
        side = self.referee.image_size
        small = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
        return marks_among(self.referee.embed_image(small) @ told.T, sure=False)


class ClassExaminer:
    """A judge that picks one of its classes, for prompts that name one."""

    name = "judge"

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    def marks(self, pictures: Tensor, asked: Sequence[Asked]) -> Marks:
        names = [each.name for each in asked if isinstance(each, ClassPrompt)]
        if len(names) != len(asked):
            raise TrainingError("these prompts name no classes; give class prompts, or a probe")
        verdicts = self.judge.verdicts(pictures, names * (len(pictures) // len(names)))
        return Marks(
            torch.tensor([verdict.rank for verdict in verdicts]),
            torch.tensor([verdict.log_probability for verdict in verdicts]),
        )


def joined(parts: Sequence[Marks]) -> Marks:
    """Marks of one examiner, one after the other."""
    told = [part.log_probabilities for part in parts if part.log_probabilities is not None]
    return Marks(torch.cat([part.ranks for part in parts]), torch.cat(told) if told else None)


def count(marks: Marks, asked: Sequence[Asked]) -> Table:
    """Scores by group and for "all", of whole sheets of `asked` in their order."""
    ranks = marks.ranks.view(-1, len(asked))
    surprise = marks.log_probabilities
    rows = None if surprise is None else surprise.view(-1, len(asked))
    groups = list(dict.fromkeys(each.group for each in asked))
    table = {}
    for group in ["all", *(groups if len(groups) > 1 else [])]:
        columns = [i for i, each in enumerate(asked) if group in ("all", each.group)]
        part = ranks[:, columns]
        table[group] = Score(
            int((part == 0).sum()),
            int((part < 5).sum()),
            part.numel(),
            None if rows is None else float(rows[:, columns].mean()),
        )
    return table


def table_text(tables: Mapping[str, Mapping[str, Score]]) -> str:
    """A Markdown table: a row per kind of picture; of all pictures also how many are in the first
    five and, where it is told, the mean log-probability; a column per group, with 95 % intervals
    of what is named first."""
    groups = list(next(iter(tables.values())))
    sure = any(row["all"].log_probability is not None for row in tables.values())
    heads = ["pictures", "all", "in five", *["mean log p"] * sure, *groups[1:]]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " --- |" * (len(heads) - 1)]
    for name, row in tables.items():
        cells = []
        for group in groups:
            score = row[group]
            cells.append(share(score.first, score.total).percent())
            if group == "all":
                cells.append(f"{score.five / score.total:.0%}")
                if sure:
                    told = score.log_probability
                    cells.append("-" if told is None else f"{told:.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_plain(tables: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    """The tables for a JSON file."""
    return {
        name: {group: asdict(score) for group, score in row.items()} for name, row in tables.items()
    }
