"""A data set small enough to build in a blink: drawings made here, no network, one process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from gouache_training.collect import Candidate
from gouache_training.dataset import build_from
from gouache_training.lexicon import Lexicon
from gouache_training.names import concept_key
from gouache_training.pack import PictureSet
from gouache_training.sources import Kind, Source

# Lemma: senses as (synset number, WordNet file number); 5 animal, 6 artifact, 9 cognition, 13 food.
LEXICON = Lexicon(
    nouns={
        "apple": ((100, 13),),
        "box": ((101, 6),),
        "ball": ((102, 6),),
        "cat": ((103, 5),),
        "dog": ((104, 5),),
        "hound": ((105, 5),),
        "car": ((106, 6),),
        "auto": ((106, 6),),
        "cow": ((107, 5),),
        "glasses": ((108, 6),),
        "glass": ((109, 6),),
        "idea": ((110, 9),),
        "face": ((111, 8),),
        "cake": ((112, 13),),
        "texas": ((113, 15), (114, 17)),
        "kite": ((115, 6),),
    },
    words=("happy", "birthday", "wooden", "light"),
    synonyms={
        100: ("apple",),
        101: ("box",),
        102: ("ball",),
        103: ("cat",),
        104: ("dog",),
        105: ("hound",),
        106: ("car", "auto"),
        107: ("cow",),
        112: ("cake",),
        113: ("Texas",),
        115: ("kite",),
    },
    broader={105: 104},
)


def source(name: str, kind: Kind, weight: float = 1.0) -> Source:
    return Source(name, f"package-{name}", "1.0.0", "MIT", f"{name} by a test", kind, weight)


def svg(shape: str, color: str, turn: int = 0) -> str:
    forms = {
        "box": '<rect x="4" y="4" width="24" height="24"/>',
        "ball": '<circle cx="16" cy="16" r="13"/>',
        "kite": '<path d="M16 1 28 16 16 31 4 16z"/>',
        "apple": '<ellipse cx="16" cy="18" rx="10" ry="13"/>',
        "cat": '<path d="M3 3l9 8h8l9-8v26H3z"/>',
        "dog": '<path d="M2 12h28v10H2z M6 2h6v28H6z"/>',
        "car": '<path d="M2 14h6l4-8h12v8h6v10H2z"/>',
        "cow": '<path d="M2 2h10v10h8V2h10v28H2z"/>',
        "cake": '<path d="M2 30h28L16 2z"/>',
    }
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">'
        f'<g fill="{color}" transform="rotate({turn} 16 16)">{forms[shape]}</g></svg>'
    )


def candidate(name: str, drawing: str, origin: Source, weight: float = 1.0) -> Candidate:
    concept = concept_key(name, LEXICON)
    return Candidate(origin, name, concept, ("tag",), (), weight, svg=drawing)


COLORS = {"red": "#dc1e1e", "blue": "#285ad7", "green": "#32a03c", "yellow": "#fad728"}


def sample() -> list[Candidate]:
    """Nine shapes in four colours from four sources, and three icons of one colour."""
    found = []
    shapes = ("box", "ball", "kite", "apple", "cat", "dog", "car", "cow", "cake")
    for number, (color, value) in enumerate(COLORS.items()):
        origin = source(f"set{number}", "emoji")
        for shape in shapes:
            found.append(candidate(f"{color} {shape}", svg(shape, value, 5 * number), origin))
    icons = source("icons", "mono", 0.2)
    found += [candidate(shape, svg(shape, "#fff"), icons, 0.5) for shape in ("cat", "dog", "car")]
    return found


@cache
def pictures() -> PictureSet:
    """The sample, built once for all tests."""
    path = Path(mkdtemp()) / "sample.gpack"
    return build_from(sample(), LEXICON, path, side=32, processes=1)
