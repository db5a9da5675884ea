"""Where in a picture a prompt is meant: "@left", "@top right", "@0.1,0.5,0.4,0.9".

A place is a rectangle: left, top, right and bottom as shares of the picture's width and height.
"""

from __future__ import annotations

import difflib
import re
from typing import TypeAlias

Place: TypeAlias = tuple[float, float, float, float]

PLACES: dict[str, Place] = {
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0),
    "center": (0.25, 0.25, 0.75, 0.75),
    "top left": (0.0, 0.0, 0.5, 0.5),
    "top right": (0.5, 0.0, 1.0, 0.5),
    "bottom left": (0.0, 0.5, 0.5, 1.0),
    "bottom right": (0.5, 0.5, 1.0, 1.0),
}
MIN_SHARE = 0.05  # of the picture's side: a smaller place is less than a guide can make out
_ALSO = {"centre": "center"}
_NEAR = 0.75  # likeness from which a text may be a place that was mistyped
_NUMBERS = re.compile(r"[-+.,\w\s]*\d[-+.,\w\s]*")


def read_place(text: str) -> Place | str | None:
    """What stands behind an "@": a place, what is wrong with its numbers, or None for no place.

    Place words in any case, corners also in the other order or with a hyphen; or four numbers
    x0,y0,x1,y1 in [0,1].
    """
    words = re.sub(r"\b-\b", " ", text.lower()).split()
    for order in (words, words[::-1]):
        name = " ".join(order)
        if found := PLACES.get(_ALSO.get(name, name)):
            return found
    fields = text.split(",")
    if len(fields) != 4:
        return None
    try:
        numbers = [float(field) + 0.0 for field in fields]  # -0 becomes 0
    except ValueError:
        return None
    place: Place = (numbers[0], numbers[1], numbers[2], numbers[3])
    return place_mistake(place) or place


def place_mistake(place: Place) -> str:
    """What is wrong with a place, in a line; "" for nothing."""
    x0, y0, x1, y1 = place
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        return (
            f"the place is {format_place(place)}; expected x0,y0,x1,y1 between 0 and 1, x0 below "
            "x1 and y0 below y1"
        )
    if min(x1 - x0, y1 - y0) < MIN_SHARE:
        return (
            f"the place is {format_place(place)}; expected at least {MIN_SHARE} of the picture "
            "from side to side"
        )
    return ""


_SIDES = {
    "left right": ("and", "next to", "beside", "left of", "to the left of"),
    "right left": ("right of", "to the right of"),
    "top bottom": ("above", "over", "on top of"),
    "bottom top": ("below", "under", "beneath", "underneath"),
}
_JOINS = {word: tuple(sides.split()) for sides, words in _SIDES.items() for word in words}
_ARTICLE = r"(?:an?|the|one)\s"
_TWO = re.compile(
    rf"({_ARTICLE}.+?)\s+({'|'.join(sorted(_JOINS, key=len, reverse=True))})\s+({_ARTICLE}.+)",
    re.IGNORECASE,
)
# A thing that is told with any of these is more than a thing: a style, a scene, a third thing.
_MORE = re.compile(
    r"[,.;:]|\b(?:of|in|on|at|by|with|from|near|under|over|above|below|beside|and|or|to|for)\b",
    re.IGNORECASE,
)
_MOST_WORDS = 5  # of a thing, with its article


def two_things(text: str) -> tuple[tuple[str, Place], tuple[str, Place]] | None:
    """What "a cat and a dog" or "the sun above a house" names, and where each is meant.

    Both need an article, and are no more than a few words: of what says more (a style, a ground,
    three things) the halves are not known, and it is None.
    """
    found = _TWO.fullmatch(text.strip())
    if found is None:
        return None
    first, how, second = found.groups()
    if any(_MORE.search(one) or len(one.split()) > _MOST_WORDS for one in (first, second)):
        return None
    here, there = _JOINS[" ".join(how.lower().split())]
    return (first, PLACES[here]), (second, PLACES[there])


def format_place(place: Place) -> str:
    """As `read_place` reads it: the word where there is one."""
    for name, known in PLACES.items():
        if known == place:
            return name
    return ",".join(repr(number).removesuffix(".0") for number in place)


def nearest_place(text: str) -> str:
    """The place that the end of a text ("a boat @lefft") may have meant; "" for none."""
    _, mark, end = text.rpartition(" @")
    end = end.strip().lower()
    if not mark or not end or read_place(end) is not None:
        return ""
    if end.count(",") in (2, 4) and "." in end and _NUMBERS.fullmatch(end):
        return "x0,y0,x1,y1"
    near = difflib.get_close_matches(end, [*PLACES, *_ALSO], 1, _NEAR)
    return near[0] if near else ""


__all__ = [
    "MIN_SHARE",
    "PLACES",
    "Place",
    "format_place",
    "nearest_place",
    "place_mistake",
    "read_place",
    "two_things",
]
