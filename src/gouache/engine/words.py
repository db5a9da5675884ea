"""What guides are told, and what they know of it: texts to embeddings, for everybody.

Whoever compares pictures with words takes its embeddings from here, so that prompts, masks and
scores mean the same by the same words. A perceptor may say by `unknown_words` which words it does
not know, and by `confidence` how much it knows of a text.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import PromptError
from gouache.prompts import one_line, parse_prompts
from gouache.protocols import Perceptor, SelfAware, WordAware

# Averaging over phrasings removes what a wording adds to a meaning (CLIP, section 3.1.4).
TEMPLATES = (
    "{}",
    "a picture of {}",
    "a photo of {}",
    "an image of {}",
    "a drawing of {}",
    "a painting of {}",
    "an illustration of {}",
)
SILENT = 0.1  # a guide that knows so little of a prompt is said not to know it
SHOWN = 8  # unknown words that a note tells by themselves
CANCELS = 1e-4  # a sum shorter than this share of its weights points nowhere
_AT_ONCE = 256  # texts that are embedded together


class UnknownWordsWarning(UserWarning):
    """A guide does not know some words of a prompt."""

    all_differ = True  # one tells nothing of the words of another: all are worth showing

    def __init__(self, message: str, words: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = {"words": list(words)}


@torch.no_grad()
def embed_texts(texts: Sequence[str], perceptor: Perceptor, *, templates: bool = False) -> Tensor:
    """Texts -> (len(texts),D) unit vectors, float32, where the perceptor has them. No gradient.

    With `templates` each is the mean of the text's `phrasings`.
    """
    if not texts:
        return torch.zeros(0, perceptor.embed_dim)
    if templates:
        each = [perceptor.embed_text(phrasings(text)).float().mean(0) for text in texts]
        return F.normalize(torch.stack(each), dim=-1)
    groups = [texts[first : first + _AT_ONCE] for first in range(0, len(texts), _AT_ONCE)]
    return F.normalize(torch.cat([perceptor.embed_text(g).float() for g in groups]), dim=-1)


def embed_prompt(line: str, perceptor: Perceptor, *, templates: bool = False) -> Tensor:
    """What a prompt leads to, (1,D): its last stage's parts, added up by their weights.

    `line` follows the grammar of `gouache.prompts`; places do not count. Raises `PromptError`, also
    for parts that cancel each other out.
    """
    parts = parse_prompts(line)[-1]
    told = embed_texts([part.text for part in parts], perceptor, templates=templates)
    weights = torch.tensor([part.weight for part in parts], device=told.device)
    total = (weights[:, None] * told).sum(0, keepdim=True)
    if float(total.norm()) < CANCELS * max(float(weights.abs().sum()), 1e-9):
        raise PromptError("the parts of the prompt cancel each other out; change a weight", line)
    return F.normalize(total, dim=-1)


def phrasings(text: str) -> list[str]:
    """The ways in which a perceptor is told a text."""
    return [template.replace("{}", text) for template in TEMPLATES]


@torch.no_grad()
def confidence(text: str, perceptor: Perceptor, *, templates: bool = False) -> float:
    """How much a perceptor knows of a text, in [0,1]; 1 if it cannot tell."""
    if not isinstance(perceptor, SelfAware):
        return 1.0
    told = phrasings(text) if templates else [text]
    return float(perceptor.confidence(told).float().mean())


def check_words(texts: Iterable[str], perceptors: Sequence[Perceptor]) -> None:
    """One `UnknownWordsWarning` for all words of `texts` that some perceptor does not know.

    A text of which none of the perceptors knows any word raises `PromptError`: what is painted
    would have nothing to do with it. Perceptors without `unknown_words` know all words.
    """
    found: dict[str, dict[str, None]] = {}  # guide -> words
    for text in dict.fromkeys(texts):
        blind = 0
        for perceptor in perceptors:
            if not isinstance(perceptor, WordAware):
                continue
            if unknown := perceptor.unknown_words(text):
                found.setdefault(perceptor.name, {}).update(dict.fromkeys(unknown))
                blind += not _rest(text, unknown)
        if perceptors and blind == len(perceptors):
            who = _guides([perceptor.name for perceptor in perceptors])
            raise PromptError(
                f"{who} {'knows' if blind == 1 else 'know'} no word of {one_line(repr(text), 60)}; "
                "write it in English, or choose a guide that knows its language, for example "
                "--perceptor siglip2-b-16"
            )
    if found:
        alike: dict[tuple[str, ...], list[str]] = {}  # words -> the guides that lack them
        for name, words in found.items():
            alike.setdefault(tuple(words), []).append(name)
        told = "; ".join(
            f"{_guides(names)} {'does' if len(names) == 1 else 'do'} not know {listed(words)}"
            for words, names in alike.items()
        )
        every = list(dict.fromkeys(word for words in alike for word in words))
        warnings.warn(UnknownWordsWarning(f"{told}; write it in English", every), stacklevel=3)


def _rest(text: str, unknown: Sequence[str]) -> bool:
    """Is there a word, a number or a pictograph besides the `unknown` ones?"""
    for word in sorted(unknown, key=len, reverse=True):  # one may be part of another
        text = text.replace(word, " ")
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)


def _guides(names: Sequence[str]) -> str:
    told = one_line(" and ".join(names), 60)
    return f"the guide {told}" if len(names) == 1 else f"the guides {told}"


def listed(texts: Sequence[str], what: str = "words", most: int = SHOWN, width: int = 40) -> str:
    """The first of them in quotes, each of `width` characters, and how many there are besides."""
    shown = ", ".join(one_line(repr(text), width) for text in texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most} more {what}"


__all__ = [
    "CANCELS",
    "SILENT",
    "TEMPLATES",
    "UnknownWordsWarning",
    "check_words",
    "confidence",
    "embed_prompt",
    "embed_texts",
    "listed",
    "phrasings",
]
