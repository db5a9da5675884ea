"""Values of every setting, the odd ones too, for tests of laws."""

from __future__ import annotations

import typing
from typing import Any

from hypothesis import strategies as st

from gouache.settings.codec import Setting
from gouache.settings.schedule import Schedule

_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def schedules(draw: st.DrawFn, numbers: st.SearchStrategy[float] = _NUMBERS) -> Schedule:
    percent = draw(st.booleans())
    places = st.floats(0, 100) if percent else st.integers(0, 1_000_000).map(float)
    positions = tuple(sorted(draw(st.sets(places, min_size=1, max_size=5))))
    size = len(positions)
    values = tuple(draw(st.lists(numbers, min_size=size, max_size=size)))
    between = draw(st.sampled_from(("linear", "cosine", "step")))
    return Schedule(positions, values, between, percent)


# What YAML 1.1 and 1.2, JSON, or a shell may take for something else.
_PLAIN = "yes no on off y true null ~ 12:30 1e-05 1.0 007 0x1f 2024-01-01 ' = << !x *a &a 1_000"
_SPACED = ("- a", "a: b", "# a", '"', "", "a\tb", "\ufeff", "\N{RED APPLE}", "\u2028", "\x85")
_ODD = st.sampled_from(
    [*_PLAIN.split(), *[".inf", ".nan", "{a", "[a", "%a", "@a", "\\u0041"], *_SPACED]
)
TEXTS = st.one_of(_ODD, st.text(st.characters(exclude_categories=("Cs",)), max_size=20))


def values_of(setting: Setting) -> st.SearchStrategy[Any]:
    meta, kind = setting.meta, setting.type
    if setting.name == "size":
        return st.tuples(st.integers(1, 4096), st.integers(1, 4096))
    if setting.name == "steps":
        return st.lists(st.integers(1, 1_000_000), min_size=1, max_size=3).map(tuple)
    if choices := meta.get("choices"):
        one = st.sampled_from(choices)
        many = st.lists(one, max_size=4).map(tuple)
        return many if typing.get_origin(kind) is tuple else one
    if setting.name == "prompt":  # an empty one alone is none
        return st.lists(TEXTS, max_size=3).map(tuple).filter(lambda value: value != ("",))
    if typing.get_origin(kind) is tuple:
        return st.lists(TEXTS, min_size=setting.name == "perceptor", max_size=3).map(tuple)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(meta["low"], meta["high"])
    if kind in (float, float | Schedule):
        low, above = meta.get("low"), meta.get("above")
        numbers = st.floats(
            low if above is None else above, meta["high"], exclude_min=above is not None
        )
        return numbers if kind is float else st.one_of(numbers, schedules(numbers))
    return TEXTS
