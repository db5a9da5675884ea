"""People as judges: a page that shows pairs of a figure's pictures, and votes read back.

Who painted which picture is neither on the page nor in the votes: the same folders and seed give
the same pairs, so that only who has the folders can tell. Two pictures of a pair have the same
words and seed, and other painters.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from gouache.errors import ConfigError, ImageError
from gouache.inputs import file_sha256
from gouache.intervals import share
from gouache.ops.images import encode, fit, load_image
from gouache.output.documents import dump_json
from gouache.prompts import one_line

FORMAT = 1
MAX_BYTES = 1 << 20  # of a file of votes
PAGE = Path(__file__).with_name("vote.html")
MARK = "<!-- a page of gouache figures vote -->"  # by which a page of ours is known
LEFT, RIGHT, SAME = "left", "right", "same"


@dataclass(frozen=True)
class Shown:
    """A picture of a figure; `who` painted it, or what of the figure it stands for."""

    path: Path
    sha256: str
    who: str
    words: str
    seed: int


@dataclass(frozen=True)
class Ballot:
    """Pairs in the order in which they are shown; `of` is a sum of them."""

    pairs: tuple[tuple[Shown, Shown], ...] = field(repr=False)
    seed: int
    of: str


@dataclass
class Count:
    """Votes on pairs of two, for the first and for the second, or for neither."""

    first: int = 0
    second: int = 0
    neither: int = 0

    def add(self, choice: str, first_is_left: bool) -> None:
        if choice == SAME:
            self.neither += 1
        elif (choice == LEFT) == first_is_left:
            self.first += 1
        else:
            self.second += 1

    @property
    def share(self) -> str:
        """Of the decided votes those for the first, with 95 % intervals."""
        decided = self.first + self.second
        if not decided:
            return "-"
        return share(self.first, decided).percent()


def make_ballot(folders: Sequence[Path], seed: int = 0) -> Ballot:
    """All pairs of the figures in `folders`, shuffled by `seed`, as are their sides.

    `ConfigError` where a folder holds no figure or there is no pair, `ImageError` for a picture
    that is not as it was painted.
    """
    groups: dict[tuple[str, int], list[Shown]] = {}
    for one in _pictures(folders):
        alike = groups.setdefault((one.words, one.seed), [])
        if all(one.who != other.who for other in alike):
            alike.append(one)
    rng = random.Random(seed)  # its numbers are the same in every version of Python
    pairs = []
    for key in sorted(groups):
        for pair in combinations(sorted(groups[key], key=lambda one: one.who), 2):
            pairs.append(pair if rng.random() < 0.5 else (pair[1], pair[0]))
    if not pairs:
        raise ConfigError(
            f"{one_line(folders[0])} holds no two pictures of the same words; paint a figure with "
            "several rows, or give the folders of several figures"
        )
    rng.shuffle(pairs)
    told = [[left.sha256, right.sha256] for left, right in pairs]
    return Ballot(tuple(pairs), seed, hashlib.sha256(dump_json(told).encode()).hexdigest())


def page_of(ballot: Ballot) -> str:
    """The page, which needs nothing but a browser; pictures are brought to the smallest size."""
    shown = list({one.sha256: one for pair in ballot.pairs for one in pair}.values())
    random.Random(ballot.seed).shuffle(shown)
    images = {one.sha256: load_image(one.path) for one in shown}
    size = min((image.size for image in images.values()), key=lambda size: size[0] * size[1])
    numbers = {one.sha256: number for number, one in enumerate(shown)}
    document = {
        "format": FORMAT,
        "of": ballot.of,
        "seed": ballot.seed,
        "pairs": [
            {"words": left.words, LEFT: numbers[left.sha256], RIGHT: numbers[right.sha256]}
            for left, right in ballot.pairs
        ],
        "pictures": [
            base64.b64encode(encode(fit(images[one.sha256].convert("RGB"), size))).decode()
            for one in shown
        ],
    }
    # Inside of a script nothing may look like its end.
    text = dump_json(document, encoding="ascii").replace("<", "\\u003c")
    template = PAGE.read_text(encoding="utf-8")
    return template.replace("MARK", MARK, 1).replace("BALLOT", text, 1)


def count_votes(folders: Sequence[Path], files: Sequence[Path]) -> str:
    """Tables of all votes in `files`, as Markdown. `ConfigError` for what are no votes on pages of
    these folders, or a file that is given twice."""
    ballots: dict[int, Ballot] = {}
    voters: dict[str, Path] = {}
    counts: dict[tuple[str, str], Count] = {}
    for path in files:
        votes = _read(path)
        seed, voter = votes["seed"], votes["voter"]
        if voter in voters:
            raise ConfigError(
                f"{one_line(path)} holds the votes of {one_line(voters[voter])}; give them once"
            )
        voters[voter] = path
        ballot = ballots.get(seed) or make_ballot(folders, seed)
        ballots[seed] = ballot
        if votes["of"] != ballot.of or len(votes["choices"]) != len(ballot.pairs):
            raise ConfigError(
                f"{one_line(path)} holds votes on another page; give the folders as they were for "
                "the page, with their pictures unchanged"
            )
        for (left, right), choice in zip(ballot.pairs, votes["choices"], strict=True):
            if choice is not None:
                first, second = sorted((left.who, right.who))
                count = counts.setdefault((first, second), Count())
                count.add(choice, first_is_left=first == left.who)
    return "\n".join(_tables(counts, len(files)))


def _tables(counts: Mapping[tuple[str, str], Count], files: int) -> list[str]:
    each: dict[str, Count] = {}
    for (first, second), count in counts.items():
        for who, own, other in (
            (first, count.first, count.second),
            (second, count.second, count.first),
        ):
            total = each.setdefault(who, Count())
            total.first += own
            total.second += other
            total.neither += count.neither
    votes = sum(count.first + count.second + count.neither for count in counts.values())
    neither = sum(count.neither for count in counts.values())
    place = "1 file" if files == 1 else f"{files} files"
    lines = [f"votes: {votes} in {place}, {neither} for no difference", ""]
    lines += ["| who | preferred | not | no difference | share of the decided |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for who, total in sorted(each.items(), key=lambda item: -item[1].first):
        numbers = f"{total.first} | {total.second} | {total.neither}"
        lines.append(f"| {_cell(who)} | {numbers} | {total.share} |")
    lines += ["", "| of two | first | second | no difference | first's share of the decided |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for (first, second), count in sorted(counts.items()):
        numbers = f"{count.first} | {count.second} | {count.neither}"
        lines.append(f"| {_cell(first)}, {_cell(second)} | {numbers} | {count.share} |")
    return lines


def _cell(text: str) -> str:
    return one_line(text, 60).replace("|", "\\|")


def _pictures(folders: Sequence[Path]) -> list[Shown]:
    """Those that somebody painted, of all figures; each as it was written."""
    entries = [(folder, entry) for folder in folders for entry in _entries(folder)]
    several = len({entry["tells"].get("system") for _, entry in entries}) > 1
    rows: dict[str, set[str]] = {}
    for _, entry in entries:
        rows.setdefault(entry["prompt"], set()).add(entry["row"])
    found = []
    for folder, entry in entries:
        path = folder / entry["file"]
        if path.parent != folder or file_sha256(path) != entry["sha256"]:
            raise ImageError(
                f"{one_line(path)} is not as the figure painted it; paint it again: gouache figures"
            )
        by_row = len(rows[entry["prompt"]]) > 1
        who = entry["tells"].get("system") if several else entry["row" if by_row else "column"]
        found.append(Shown(path, entry["sha256"], str(who), entry["prompt"], entry["seed"]))
    return found


def _entries(folder: Path) -> list[dict[str, Any]]:
    """What a figure's record tells of pictures that were painted, not changed."""
    place = folder / "figure.json"
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
        found = [dict(entry) for entry in document["pictures"]]
        for entry in found:
            texts = [entry[name] for name in ("file", "sha256", "prompt", "row", "column")]
            if not all(isinstance(text, str) for text in texts) or type(entry["seed"]) is not int:
                raise TypeError
            entry["tells"] = dict(entry["tells"])
    except FileNotFoundError:
        raise ConfigError(
            f"{one_line(folder)} has no figure.json; give the folder of a figure"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ConfigError(f"{one_line(place)} is damaged; paint the figure again") from None
    return [entry for entry in found if "change" not in entry["tells"]]


def _read(path: Path) -> dict[str, Any]:
    """A file of votes with everything of the right type."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError
        found = json.loads(content)
        right = (
            found["format"] == FORMAT
            and isinstance(found["of"], str)
            and isinstance(found["voter"], str)
            and type(found["seed"]) is int
            and isinstance(found["choices"], list)
            and all(choice in (None, LEFT, RIGHT, SAME) for choice in found["choices"])
        )
        if not right:
            raise ValueError
    except OSError as error:
        raise ConfigError(f"cannot read {one_line(path)}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError(
            f"{one_line(path)} holds no votes; give what the page of gouache figures vote saved"
        ) from None
    return dict(found)


__all__ = ["MARK", "Ballot", "Shown", "count_votes", "make_ballot", "page_of"]
