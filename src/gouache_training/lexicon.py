"""A dictionary that tells things that can be drawn from notions that cannot (WordNet 3.1).

WordNet sorts its noun senses into files: animal, artifact, food, plant and so on. A name is worth a
picture when one of its first senses lies in one of the concrete files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gouache.errors import TrainingError
from gouache_training.wordlists import words

__all__ = ["CATEGORIES", "Lexicon", "Sense", "singular"]

CATEGORIES: Mapping[int, str] = {
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    17: "nature",
    18: "person",
    19: "phenomenon",
    20: "plant",
    25: "shape",
    27: "substance",
}
"""Concrete lexicographer files by number, with the names used here."""

_SENSES_LOOKED_AT = 3
_LOCATION = 15
_PERSON = 18
_WIDER = re.compile(r"@i? (\d{8}) n")
_IRREGULAR = {
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "oxen": "ox",
    "knives": "knife",
    "wolves": "wolf",
    "leaves": "leaf",
    "shelves": "shelf",
    "loaves": "loaf",
    "calves": "calf",
    "halves": "half",
    "dice": "die",
    "cacti": "cactus",
}
# These everyday words have their drawable sense
# too far down WordNet's list, or a first concrete sense nobody draws.
_PREFERRED = {
    "heart": "shape",
    "fire": "phenomenon",
    "flame": "phenomenon",
    "rainbow": "phenomenon",
    "snow": "phenomenon",
    "ghost": "person",
    "dragon": "animal",
    "unicorn": "animal",
    "mermaid": "person",
    "medal": "artifact",
    "letter": "artifact",
    "envelope": "artifact",
    "sunset": "nature",
    "sunrise": "nature",
    "spark": "phenomenon",
    "trophy": "artifact",
    "robot": "artifact",
    "alien": "person",
    "monster": "animal",
    "phoenix": "animal",
    "pizza": "food",
    "soccer": "artifact",
}


@dataclass(frozen=True)
class Sense:
    """A drawable meaning of a name: `key` names the synset, `category` is a value of CATEGORIES."""

    key: str
    category: str


def singular(word: str) -> str:
    """Singular of an English noun by the common rules ("berries" -> "berry"), or as it was."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "as", "ous")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes", "toes")):
        return word[:-2]
    return word[:-1]


class Lexicon:
    """Looks up names. Build with `Lexicon.load`, or from mappings in tests.

    Args:
        nouns: senses by lemma, most frequent first, as (synset number, file number).
        words: other words that count as English (adjectives, verbs).
        synonyms: lemmas by synset number, most usual first.
        broader: the next wider synset, by synset number.
        files: number of the lexicographer file, by synset number.
    """

    def __init__(
        self,
        nouns: Mapping[str, tuple[tuple[int, int], ...]],
        words: Iterable[str] = (),
        synonyms: Mapping[int, tuple[str, ...]] | None = None,
        broader: Mapping[int, int] | None = None,
        files: Mapping[int, int] | None = None,
    ) -> None:
        self._nouns = nouns
        self._words = frozenset(words)
        self._synonyms = synonyms or {}
        self._broader = broader or {}
        self._files = files or {}

    @classmethod
    def load(cls, folder: Path) -> Lexicon:
        """Read `data.noun` and the indexes in a WordNet `dict` folder.

        Raises:
            TrainingError: the folder lacks one of the files.
        """
        for name in ("data.noun", "index.noun", "index.adj", "index.verb"):
            if not (folder / name).is_file():
                raise TrainingError(f"{folder}: WordNet file {name} is missing; fetch it again")
        files: dict[int, int] = {}
        synonyms: dict[int, tuple[str, ...]] = {}
        broader: dict[int, int] = {}
        for line in _lines(folder / "data.noun"):
            offset, file, _, count, rest = line.split(" ", 4)
            files[int(offset)] = int(file)
            fields = rest.split(" ", 2 * int(count, 16))
            lemmas = fields[: 2 * int(count, 16) : 2]
            synonyms[int(offset)] = tuple(lemma.replace("_", " ") for lemma in lemmas)
            if (wider := _WIDER.search(fields[-1])) is not None:
                broader[int(offset)] = int(wider.group(1))
        nouns = {}
        for line in _lines(folder / "index.noun"):
            parts = line.split()
            numbers = [int(number) for number in parts[-int(parts[2]) :]]
            senses = tuple((number, files[number]) for number in numbers)
            nouns[parts[0].replace("_", " ")] = senses
        words = [
            line.split(" ", 1)[0].replace("_", " ")
            for name in ("index.adj", "index.verb")
            for line in _lines(folder / name)
        ]
        return cls(nouns, words, synonyms, broader, files)

    def knows(self, word: str) -> bool:
        """Whether the word, or its singular, is an English noun, adjective or verb."""
        return any(
            form in self._nouns or form in self._words
            for form in (word, singular(word), word.removesuffix("ed"), word.removesuffix("ing"))
        )

    def nouns(self) -> Iterable[str]:
        """All lemmas of nouns, lower case."""
        return self._nouns.keys()

    def synsets(self) -> Iterable[int]:
        """The numbers of all noun synsets."""
        return self._synonyms.keys()

    def senses(self, lemma: str) -> tuple[int, ...]:
        """Synsets of a lower-case lemma, most frequent first; none where it is no noun."""
        return tuple(number for number, _ in self._nouns.get(lemma, ()))

    def file_of(self, lemma: str) -> int:
        """Number of the lexicographer file of a lemma's most frequent sense; -1 for no noun."""
        senses = self._nouns.get(lemma, ())
        return senses[0][1] if senses else -1

    def lemmas(self, number: int) -> tuple[str, ...]:
        """The words of a synset, most usual first."""
        return self._synonyms.get(number, ())

    def broader(self, number: int) -> int | None:
        """The next wider synset."""
        return self._broader.get(number)

    def is_person(self, number: int) -> bool:
        """Whether a synset names people, or is that of people themselves."""
        first = self.lemmas(number)[:1]
        return self._files.get(number) == _PERSON or first == ("person",)

    def sense(self, name: str) -> Sense | None:
        """The drawable meaning of a whole name, or None.

        Plural names are tried as they stand first ("glasses"), then with their last word singular.
        """
        head, _, last = name.rpartition(" ")
        forms = [name, f"{head} {singular(last)}".strip()]
        if " " in name:
            forms.append(name.replace(" ", ""))
        for form in forms:
            wanted = _PREFERRED.get(form)
            if wanted is not None:
                return Sense(form, wanted)
            senses = self._nouns.get(form, ())[:_SENSES_LOOKED_AT]
            if senses and self._is_place(*senses[0]):
                return None
            for number, file in senses:
                category = CATEGORIES.get(file)
                if category is not None:
                    first = self._synonyms.get(number, (form,))[0].lower()
                    return Sense(f"{first}#{number}", category)
        return None

    def _is_place(self, number: int, file: int) -> bool:
        """Whether a sense is a named region ("Arkansas"), of which sets of map icons are full."""
        names = self._synonyms.get(number, ("",))
        return file == _LOCATION and names[0][:1].isupper()

    def category(self, name: str) -> str | None:
        """Category of a name: that of the whole, else of its head noun ("red apple": food).

        The head is the last word before "with", "of", "in", "on", "and" and the like.
        """
        whole = self.sense(name)
        if whole is not None:
            return whole.category
        found = self.sense(head_noun(name))
        return found.category if found else None

    def synonyms(self, name: str) -> tuple[str, ...]:
        """Other lower-case names of the synset of a name that has one ("car": "auto", ...)."""
        sense = self.sense(name)
        if sense is None or "#" not in sense.key:
            return ()
        lemmas = self._synonyms.get(int(sense.key.rpartition("#")[2]), ())
        return tuple(lemma for lemma in lemmas if lemma != name and lemma.islower())

    def wider(self, name: str) -> tuple[str, ...]:
        """Names of ever wider synsets ("poodle": "dog", "canine", ..., "animal", ...)."""
        sense = self.sense(name)
        found: list[str] = []
        if sense is None or "#" not in sense.key:
            return ()
        number = int(sense.key.rpartition("#")[2])
        while (next_number := self._broader.get(number)) is not None:
            number = next_number
            found += self._synonyms[number]
        return tuple(found)


_LINKS = words("links")


def head_noun(name: str) -> str:
    """The noun that a name is about: "person riding on a horse" -> "person riding" -> "riding"."""
    words = name.split()
    for position, word in enumerate(words):
        if word in _LINKS and position:
            return words[position - 1]
    return words[-1] if words else ""


def _lines(path: Path) -> Iterable[str]:
    """Entries of a WordNet file: the licence at its top is indented by two spaces."""
    with path.open(encoding="latin-1") as file:
        for line in file:
            if not line.startswith("  "):
                yield line.rstrip("\n")
