"""What the thousand ImageNet classes say about a noun: which of them, and how surely.

Each class is a synset of WordNet, so a noun is known where its sense is a class ("castle"), wider
than classes ("dog": its breeds) or narrower than one ("trimaran" beside the other yachts). Among
the classes under a wide word, a sentence encoder tells the usual ones ("ship": the container ship
rather than the wreck). What lies elsewhere in WordNet is not known, however similar it sounds: a
key is no keyboard, a sunflower no cauliflower.
"""

from __future__ import annotations

import bisect
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache_training.lexicon import Lexicon, head_noun, singular

__all__ = ["CLASSES", "UNKNOWN", "Known", "Taxonomy", "class_synsets", "worth_comparing"]

CLASSES = 1000
NEAREST = 12  # classes under a wide word that share it
TEMPERATURE = 0.06  # of their similarities
SENSES = 2  # of a word that are looked at, the most frequent first
WIDE = 450  # a word over more classes than this ("artifact") names no look
NARROWER = 3  # levels below a class at which its look is still told
_NEIGHBOURS = 8
LEAST_ALIKE = 0.5  # a word resembles at least one of the classes below it so much, or is not meant
# ImageNet's "cup" carries the synset of a punch, and its pictures show tea.
_MENDED = {968: "cup"}
# Where WordNet and everyday pictures part: words, and the classes (by their plain names) that show
# them best, surest first. What follows a colon is how sure that is.
CURATED = {
    "house:0.8": "boathouse, barn, mobile home, palace",
    "cottage:0.7": "boathouse, barn",
    "farm:0.6": "barn, tractor",
    "hut:0.6": "thatched roof, yurt",
    "sea:0.8": "beach, sandbar, breakwater",
    "ocean:0.8": "beach, sandbar",
    "coast:0.9": "beach, promontory, cliff",
    "shore:0.9": "beach, lakeshore",
    "lake:0.9": "lakeshore",
    "river:0.5": "lakeshore, valley, dam",
    "hill:0.5": "valley, mountain",
    "desert:0.5": "sandbar, valley",
    "sunflower:0.6": "daisy",
    "flower:0.7": "daisy, yellow lady's slipper",
    "fruit:0.9": "orange, strawberry, lemon, pomegranate, banana",
    "train:1": "high-speed train, steam locomotive, electric locomotive",
    "sailboat:1": "yawl (boat), schooner, trimaran",
    "yacht:0.9": "yawl (boat), trimaran, motorboat",
    "ship:1": "schooner, container ship, ocean liner, pirate ship",
    "sailing ship:1": "schooner, pirate ship",
    "boat:1": "motorboat, yawl (boat), lifeboat",
    "bird:1": "goldfinch, jay, indigo bunting, American robin, house finch",
    "fish:1": "goldfish, rock beauty fish, clownfish, tench",
    "lamp:1": "table lamp, lampshade",
    "bowl:0.9": "soup bowl, mixing bowl",
    "table:0.8": "dining table, desk",
    "cow:1": "ox",
    "bull:1": "ox, water buffalo",
    "chicken:0.9": "hen, rooster",
    "pumpkin:0.8": "carved pumpkin",
    "apple:0.7": "Granny Smith apple",
    "swan:0.6": "black swan",
    "bear:1": "brown bear, American black bear",
    "clock:1": "wall clock, analog clock",
    "watch:1": "analog clock, stopwatch",
    "rocket:1": "missile, space shuttle",
    "knight:0.6": "cuirass, chain mail",
    "computer:1": "desktop computer, laptop computer",
    "camera:1": "reflex camera, Polaroid camera",
    "deer:0.4": "impala (antelope), hartebeest",
    "kite:0": "",
    "skyline:0": "",
    "crown:0": "",
    "key:0": "",
    "plant:0.5": "plant pot, greenhouse",
}


@dataclass(frozen=True)
class Known:
    """What a noun looks like: `mixture` (1000,) sums to 1, and `confidence` in [0,1]."""

    mixture: Tensor = field(repr=False)
    confidence: float


UNKNOWN = Known(torch.full((CLASSES,), 1 / CLASSES), 0.0)


def class_synsets(
    names: Sequence[Sequence[str]], numbers: Sequence[int], lexicon: Lexicon
) -> list[int]:
    """The WordNet 3.1 synset of each class.

    ImageNet names synsets of WordNet 3.0, whose numbers are places in a file. In 3.1 the file has
    shifted a little, by amounts that change slowly along it: those of words with one meaning tell
    which meaning the others have.

    Args:
        names: the lemmas of each class.
        numbers: its synset in WordNet 3.0.

    Raises:
        TrainingError: a class has no synset.
    """
    possible = []
    for lemmas in names:
        spelled = {lemma.lower() for lemma in lemmas}
        found = {number for lemma in spelled for number in lexicon.senses(lemma)}
        same = {n for n in found if {s.lower() for s in lexicon.lemmas(n)} == spelled}
        possible.append(sorted(same or found))
        if not found:
            raise TrainingError(f"WordNet has no {lemmas[0]!r}; fetch it again")
    certain = sorted(
        (old, new[0] - old) for old, new in zip(numbers, possible, strict=True) if len(new) == 1
    )
    places = [old for old, _ in certain]

    def shifted(old: int) -> float:
        at = bisect.bisect(places, old)
        near = certain[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]
        return old + statistics.median(shift for _, shift in near)

    return [
        min(new, key=lambda n: abs(n - shifted(old)))
        for old, new in zip(numbers, possible, strict=True)
    ]


class Taxonomy:
    """Answers what is known of a noun.

    Args:
        lexicon: WordNet.
        synsets: of each class, from `class_synsets`.
        similar: (N,1000) similarities in [-1,1] of `nouns` with the classes' names.
        nouns: the N names that the rows of `similar` stand for.
        plain: everyday names of the classes, each meaning one thing.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        synsets: Sequence[int],
        nouns: Sequence[str],
        similar: Tensor,
        plain: Sequence[str] = (),
    ) -> None:
        self._lexicon = lexicon
        self._plain = {name.lower(): k for k, name in enumerate(plain)}
        self._curated = dict(_curated(entry, self._plain) for entry in CURATED.items())
        self._rows = dict(zip(nouns, similar, strict=True))
        self._class_of: dict[int, int] = {number: k for k, number in enumerate(synsets)}
        self._under = classes_under(lexicon, synsets)
        self._sizes = subtree_sizes(lexicon)
        self._mended = {lexicon.senses(lemma)[0]: k for k, lemma in _MENDED.items()}

    def known(self, noun: str) -> Known:
        """Of a noun, singular or plural, or a noun phrase by its head ("a red apple": apple)."""
        for form in forms(noun):
            if (told := self._curated.get(form)) is not None:
                return told
            if (own := self._plain.get(form)) is not None:
                return Known(_one_hot(own), 1.0)
            senses = self._lexicon.senses(form)[:SENSES]
            # The first meaning counts most: a "crane" is a bird first, and a person no bridegroom.
            found = [self._sense(number, form) for number in senses]
            scored = [(1 - 0.25 * place) * known.confidence for place, known in enumerate(found)]
            if scored and max(scored) > 0:
                best = scored.index(max(scored))
                return Known(found[best].mixture, scored[best])
            if senses:
                return UNKNOWN
        return UNKNOWN

    def _sense(self, number: int, noun: str) -> Known:
        own = self._class_of.get(number, self._mended.get(number))
        below = self._under.get(number, ())
        if own is not None and len(below) <= 1:
            return Known(_one_hot(own), 1.0)
        if below and len(below) <= WIDE and not self._lexicon.is_person(number):
            return self._wide(below, number, noun)
        chain = [number]
        for level in range(1, NARROWER + 1):
            wider = self._lexicon.broader(chain[-1])
            if wider is None:
                break
            chain.append(wider)
            if (own := self._class_of.get(wider)) is not None:
                row = self._rows.get(noun)
                if row is not None and float(row[own]) < LEAST_ALIKE:
                    return UNKNOWN  # a bell is a switch to WordNet only
                return Known(_one_hot(own), 0.85**level)
        return UNKNOWN

    def _wide(self, below: Sequence[int], number: int, noun: str) -> Known:
        """A word over several classes: the usual ones of them, surer the more of it they cover."""
        row = self._rows.get(noun)
        share = len(below) / self._sizes[number]
        covered = min(1.0, max(0.0, (torch.tensor(share).log10().item() + 3) / 1.5))
        if row is None:
            mixture = torch.zeros(CLASSES)
            mixture[list(below)] = 1 / len(below)
            return Known(mixture, covered)
        values = row[list(below)]
        best = values.topk(min(NEAREST, len(below)))
        if float(best.values[0]) < LEAST_ALIKE:
            return UNKNOWN
        mixture = torch.zeros(CLASSES)
        mixture[[below[i] for i in best.indices.tolist()]] = (best.values / TEMPERATURE).softmax(0)
        alike = min(1.0, max(0.0, (float(best.values[0]) - 0.6) / 0.15))
        return Known(mixture, max(covered, alike) if alike > 0 or share > 0.02 else 0.0)


def _curated(entry: tuple[str, str], plain: Mapping[str, int]) -> tuple[str, Known]:
    word, _, confidence = entry[0].partition(":")
    names = [name for name in entry[1].split(", ") if name]
    if missing := [name for name in names if name.lower() not in plain and plain]:
        raise TrainingError(f"no class is called {missing[0]!r}; mend the entry of {word!r}")
    mixture = torch.zeros(CLASSES)
    for place, name in enumerate(names if plain else ()):
        mixture[plain[name.lower()]] = 0.6**place
    if float(mixture.sum()) == 0:
        return word, UNKNOWN
    return word, Known(mixture / mixture.sum(), float(confidence))


def worth_comparing(lexicon: Lexicon, synsets: Sequence[int]) -> list[str]:
    """Lemmas whose usual senses have a class at, below or a little above them."""
    under, classes = classes_under(lexicon, synsets), set(synsets)

    def near(number: int | None) -> bool:
        if number in under:
            return True
        for _ in range(NARROWER):
            number = None if number is None else lexicon.broader(number)
            if number in classes:
                return True
        return False

    return [n for n in lexicon.nouns() if any(near(s) for s in lexicon.senses(n)[:SENSES])]


def forms(noun: str) -> list[str]:
    """Ways to look a phrase up: whole, its last word singular, its head."""
    head, _, last = noun.lower().rpartition(" ")
    found = [noun.lower(), f"{head} {singular(last)}".strip()]
    core = head_noun(noun.lower())
    return list(dict.fromkeys([*found, core, singular(core)]))


def classes_under(lexicon: Lexicon, synsets: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The classes at or below each synset that has any."""
    found: dict[int, list[int]] = defaultdict(list)
    for k, number in enumerate(synsets):
        above: int | None = number
        while above is not None:
            found[above].append(k)
            above = lexicon.broader(above)
    return {number: tuple(classes) for number, classes in found.items()}


def subtree_sizes(lexicon: Lexicon) -> Mapping[int, int]:
    """How many synsets lie at or below each."""
    sizes: Counter[int] = Counter()
    for number in lexicon.synsets():
        above: int | None = number
        while above is not None:
            sizes[above] += 1
            above = lexicon.broader(above)
    return sizes


def _one_hot(k: int) -> Tensor:
    mixture = torch.zeros(CLASSES)
    mixture[k] = 1.0
    return mixture
