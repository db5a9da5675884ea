"""English for captions: articles, plurals and the phrases around a name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gouache_training.lexicon import singular
from gouache_training.wordlists import words

__all__ = [
    "NUMBERS",
    "countable",
    "fill",
    "frames_for",
    "is_plural",
    "one_of",
    "plural",
    "with_article",
    "wrap",
]

NUMBERS = ("two", "three", "four", "five")

_MASS = words("mass nouns")
_PLURAL_ONLY = words("plural only")
_SINGULAR_IN_S = words("singular in s")

_UNIQUE = frozenset(["earth", "equator"])
_AN_FOR = ("hour", "honest", "heir")
_A_FOR = ("uni", "one", "use", "euro", "ukulele", "eu", "ufo", "urn-")
_LINKS = words("links")
_PLURALS = {
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people",
    "ox": "oxen",
    "knife": "knives",
    "wolf": "wolves",
    "leaf": "leaves",
    "shelf": "shelves",
    "loaf": "loaves",
    "calf": "calves",
    "scarf": "scarves",
    "elf": "elves",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "squid": "squid",
    "salmon": "salmon",
    "shrimp": "shrimp",
    "bison": "bison",
    "moose": "moose",
    "aircraft": "aircraft",
    "cactus": "cacti",
    "die": "dice",
}


def _head(words: Sequence[str]) -> int:
    """Position of the noun a name is about."""
    for position, word in enumerate(words):
        if word in _LINKS and position:
            return position - 1
    return len(words) - 1


def is_plural(name: str) -> bool:
    """Whether the noun of a name is plural ("two birds", "red shoes")."""
    words = name.split()
    noun = words[_head(words)]
    if noun in _PLURAL_ONLY or words[0] in (*NUMBERS, "many", "several", "some"):
        return True
    return noun not in _SINGULAR_IN_S and singular(noun) != noun


def countable(name: str) -> bool:
    """Whether "two ..." can be said of it: a short singular name, not a mass of something."""
    words = name.split()
    if len(words) > 2 or any(word in _LINKS for word in words):
        return False
    return not is_plural(name) and words[-1] not in _MASS and words[-1] not in _UNIQUE


def with_article(name: str) -> str:
    """The name with "a" or "an" where English wants one ("a cat", "an owl", "bread", "shoes")."""
    words = name.split()
    if not words or words[0] in ("a", "an", "the", "my", "no"):
        return name
    if is_plural(name) or words[_head(words)] in _MASS:
        return name
    first = words[0]
    if words[-1] in _UNIQUE:
        return f"the {name}"
    vowel = first[0] in "aeiou" and not first.startswith(_A_FOR)
    if len(first) == 1:
        vowel = first in "aefhilmnorsx"
    return f"{'an' if vowel or first.startswith(_AN_FOR) else 'a'} {name}"


def plural(name: str) -> str:
    """Plural of a countable name ("red apple" -> "red apples", "lady" -> "ladies")."""
    head, _, noun = name.rpartition(" ")
    if noun in _PLURALS:
        noun = _PLURALS[noun]
    elif noun.endswith("man") and noun not in ("human", "caiman", "talisman"):
        noun = noun[:-3] + "men"
    elif noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        noun = noun[:-1] + "ies"
    elif noun.endswith(("s", "x", "z", "ch", "sh", "tomato", "potato", "hero", "mango", "volcano")):
        noun += "es"
    else:
        noun += "s"
    return f"{head} {noun}".strip()


_FRAMES = {
    "emoji": (
        "a picture of {a}",
        "a cartoon of {a}",
        "an emoji of {a}",
        "an illustration of {a}",
        "a drawing of {a}",
        "an image of {a}",
        "a cartoon {n}",
        "{n} emoji",
    ),
    "icon": (
        "an icon of {a}",
        "a picture of {a}",
        "an illustration of {a}",
        "a drawing of {a}",
        "a flat illustration of {a}",
        "{n} icon",
    ),
    "mono": (
        "an icon of {a}",
        "a symbol of {a}",
        "a picture of {a}",
        "a simple drawing of {a}",
        "{n} icon",
        "a stencil of {a}",
    ),
    "clip": (
        "a picture of {a}",
        "clip art of {a}",
        "a drawing of {a}",
        "an illustration of {a}",
        "an image of {a}",
        "a cartoon of {a}",
    ),
    "render3d": ("a picture of {a}", "an image of {a}", "an illustration of {a}"),
}
_LOOKS = {
    "3d render": ("a 3d render of {a}", "a 3d {n}", "{a}, 3d render", "a toy {n}", "{n} in 3d"),
    "pixel art": ("pixel art of {a}", "{a}, pixel art", "a pixelated {n}"),
    "doodle": ("a doodle of {a}", "a hand drawn {n}", "a sketch of {a}"),
}


def one_of(phrases: Sequence[str], rng: np.random.Generator) -> str:
    """One phrase at random, all alike."""
    return phrases[int(rng.random() * len(phrases))]


def fill(template: str, name: str, full: str = "", tail: str = "") -> str:
    """Fill a template.

    Args:
        template: `{a}` takes the thing with its article and tail, `{n}` the bare name; an "a" that
            does not suit the name is mended, and a name that takes none loses it.
        name: bare name ("red apple").
        full: what `{a}` takes, the name with its article by default.
        tail: what follows the thing ("on a blue background").
    """
    after = f" {tail}" if tail else ""
    full = full or with_article(name)
    if "{a}" in template:
        return template.replace("{a}", full + after)
    if template.startswith(("a {n}", "an {n}")):
        return with_article(name) + template[template.index("}") + 1 :] + after
    first, _, rest = template.partition(" ")
    if first in ("a", "an") and not with_article(name).startswith(("a ", "an ")):
        template = rest
    return template.replace("{n}", name) + after


def wrap(name: str, full: str, tail: str, frames: tuple[str, ...], rng: np.random.Generator) -> str:
    """A caption: most often the thing with its article, else the bare name or one of the frames.

    Args:
        name: what is shown, without article; "" when only the full phrase makes sense.
        full: the phrase with articles.
        tail: words about the ground, or "".
        frames: templates that fit the picture.
        rng: source of chance.
    """
    draw = rng.random()
    if draw < 0.25 and name:
        return f"{name} {tail}".strip()
    if draw < 0.7:
        return f"{full} {tail}".strip()
    if not name:
        frames = tuple(frame for frame in frames if "{a}" in frame)
    return fill(one_of(frames, rng), name, full, tail)


def frames_for(kind: str, look: str) -> tuple[str, ...]:
    """Templates for a kind of source and the look of its rendering."""
    return _FRAMES[kind] + 2 * _LOOKS.get(look, ())
