"""Texts are embedded in one place, by one rule."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import gouache
from gouache.engine.words import confidence, embed_prompt, embed_texts, phrasings
from gouache.errors import PromptError
from tiny import TinyPerceptor, tiny_session

SOURCE = Path(gouache.__file__).parent
MODELS = {
    "perceptors",
    "protocols.py",
    "systems",
}  # whose own method it is; systems read on their own


def test_only_one_file_asks_perceptors_for_texts() -> None:
    asking = set()
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] in MODELS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "embed_text":
                asking.add(path.relative_to(SOURCE).as_posix())
    assert asking == {"engine/words.py"}


@pytest.mark.parametrize("templates", [False, True])
def test_a_prompt_and_whoever_else_asks_have_the_same_embedding(templates: bool) -> None:
    (target,) = tiny_session(prompt="a boat:2:0.5", templates=templates).stages[0].targets
    told = embed_texts(["a cup", "a boat"], TinyPerceptor(), templates=templates)
    assert torch.equal(target.embeddings[0], told[1:])
    assert torch.equal(embed_prompt("a boat:2", TinyPerceptor(), templates=templates), told[1:])


def test_many_texts_are_the_same_as_each_alone() -> None:
    texts = [f"thing {number}" for number in range(300)]
    told = embed_texts(texts, TinyPerceptor())
    assert told.shape == (300, 12)
    torch.testing.assert_close(told[[0, 299]], TinyPerceptor().embed_text([texts[0], texts[-1]]))
    assert embed_texts([], TinyPerceptor()).shape == (0, 12)


def test_a_prompt_is_read_by_the_grammar() -> None:
    perceptor = TinyPerceptor()
    apple, rain = perceptor.embed_text(["an apple", "rain"])
    found = embed_prompt("a cup ^ an apple:2 | rain:-0.5:0.1", perceptor)
    torch.testing.assert_close(found[0], F.normalize(2 * apple - 0.5 * rain, dim=0))
    for nothing in ("a | a:-1", "a:0"):
        with pytest.raises(PromptError, match="cancel each other"):
            embed_prompt(nothing, perceptor)


class Doubting(TinyPerceptor):
    """Knows of each text what `known` says, and everything of all others."""

    most_cutouts = 100
    known = {"a cup": 0.3} | dict.fromkeys(phrasings("a boat")[:3], 0.0)

    def confidence(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([self.known.get(text, 1.0) for text in texts])


def test_confidence_is_asked_of_all_phrasings() -> None:
    doubting = Doubting()
    assert confidence("a cup", doubting) == pytest.approx(0.3)
    assert confidence("a boat", doubting, templates=True) == pytest.approx(4 / 7)
    assert confidence("a cup", TinyPerceptor()) == 1.0
