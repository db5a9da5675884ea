"""Whether the guides know the words of a prompt. A perceptor may say so by `unknown_words`."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence

from gouache.errors import PromptError
from gouache.prompts import one_line
from gouache.protocols import Perceptor

SHOWN = 8  # unknown words that a note tells by themselves


class UnknownWordsWarning(UserWarning):
    """A guide does not know some words of a prompt."""

    all_differ = True  # one tells nothing of the words of another: all are worth showing


def check_words(texts: Iterable[str], perceptors: Sequence[Perceptor]) -> None:
    """One `UnknownWordsWarning` for all words of `texts` that some perceptor does not know.

    A text of which none of the perceptors knows any word raises `PromptError`: what is painted
    would have nothing to do with it. Perceptors without `unknown_words` know all words.
    """
    found: dict[str, dict[str, None]] = {}  # guide -> words
    for text in dict.fromkeys(texts):
        blind = 0
        for perceptor in perceptors:
            ask: Callable[[str], list[str]] | None = getattr(perceptor, "unknown_words", None)
            if unknown := [] if ask is None else ask(text):
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
        warnings.warn(f"{told}; write it in English", UnknownWordsWarning, stacklevel=3)


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


__all__ = ["UnknownWordsWarning", "check_words", "listed"]
