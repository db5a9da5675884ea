"""Which style a prompt asks for, and what is left to paint without it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

# How people name each style (`filters.STYLES`): a regular expression for the words alone.
NAMES: dict[str, str] = {
    "pencil sketch": r"pencil (?:sketch|drawing)|pencil|sketch",
    "charcoal": r"charcoal (?:drawing|sketch)|charcoal",
    "black and white": r"black[- ]and[- ]white (?:picture|photo|photograph|image)|gr[ae]yscale",
    "sepia": r"sepia(?: picture| photo| photograph)?|(?:old|vintage) photo(?:graph)?",
    "pixel art": r"pixel[- ]?art|pixels|8[- ]bit(?: art)?",
    "mosaic": r"mosaic(?: tiles)?",
    "stained glass": r"stained[- ]glass(?: window)?",
    "low poly": r"low[- ]poly(?: picture| art)?|polygons",
    "oil painting": r"oil painting|oil on canvas|oils?",
    "watercolor": r"water ?colou?rs?(?: painting| picture)?",
    "pastel": r"pastels?(?: drawing)?|pastel colou?rs",
    "neon": r"neon (?:sign|lights?)|neon",
    "silhouette": r"silhouette",
    "blueprint": r"blueprint|technical drawing",
    "line drawing": r"(?:line|ink) drawing|line[- ]art|colou?ring page",
    "chalk": r"chalk (?:drawing|on a blackboard)|chalk",
    "woodcut": r"woodcut|linocut(?: print)?|woodblock print",
    "pop art": r"pop[- ]art|comic book",
    "pointillism": r"pointillism|pointillist painting",
    "cross stitch": r"cross[- ]stitch|embroidery",
}
# Words that go before a thing as they are: "a neon guitar".
_BEFORE = {
    "neon": r"(?:glowing )?neon",
    "low poly": r"low[- ]poly",
    "pop art": r"pop[- ]art",
    "pixel art": r"pixel[- ]art|pixelated|8[- ]bit",
    "stained glass": r"stained[- ]glass",
    "cross stitch": r"embroidered|cross[- ]stitched",
    "watercolor": r"water ?colou?r",
    "sepia": r"sepia",
}
# Words that are a thing's own as often as a style ("a sheet of chalk", "an old photo"): a prompt
# that is nothing else asks for the thing.
_ALSO_THINGS = frozenset({"oil painting", "chalk", "charcoal", "pencil sketch", "neon", "mosaic"})
_LEADS = r"(?:as |in |like )?(?:the style of )?(?:an? |the )?"
_MADE = r"(?:(?:drawn |painted |made |done )?(?:in|as|with)|made of) (?:an? |the )?"


@dataclass(frozen=True)
class Asked:
    """A style that words ask for.

    Attributes:
        style: its name, one of `filters.STYLES`.
        content: the words without it, "" where they name the style alone.
    """

    style: str
    content: str


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], re.Pattern[str], re.Pattern[str]]]:
    found = []
    for style, words in NAMES.items():
        before = _BEFORE.get(style)
        found.append(
            (
                style,
                re.compile(
                    rf"{_LEADS}(?:{words})(?: (?:of|showing) (?P<content>.+))?", re.IGNORECASE
                ),
                re.compile(rf"(?P<content>.+?),? {_MADE}(?:{words})", re.IGNORECASE),
                re.compile(
                    rf"(?P<article>an? |the )?(?:{before or words}) (?P<content>.+)"
                    if before
                    else r"(?!)",
                    re.IGNORECASE,
                ),
            )
        )
    return found


def find_style(text: str) -> Asked | None:
    """The style of "a mosaic of a fish", "a fish, mosaic", "a fish in stained glass", "a neon
    fish" or, where it is a wish of its own, "watercolor"; None where no known one is asked for.

    Of several the first is taken: the others stay in the content.
    """
    text = " ".join(text.split())
    parts = text.split(", ")
    for style, alone, _, _ in _patterns():
        for number, part in enumerate(parts):
            found = alone.fullmatch(part)
            if found is None:
                continue
            rest = [found["content"] or "", *parts[:number], *parts[number + 1 :]]
            content = ", ".join(filter(None, rest))
            if content or style not in _ALSO_THINGS:
                return Asked(style, content)
    for style, _, made, before in _patterns():
        if found := made.fullmatch(text):
            return Asked(style, found["content"])
        if found := before.fullmatch(text):
            return Asked(style, (_article(found["article"], found["content"])) + found["content"])
    return None


def _article(said: str | None, content: str) -> str:
    """The article of what follows: "a neon owl" is "an owl"."""
    if not said or said.strip().lower() == "the":
        return said or ""
    return "an " if content[0].lower() in "aeiou" else "a "


__all__ = ["NAMES", "Asked", "find_style"]
