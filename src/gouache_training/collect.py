"""Reads unpacked sources into candidates: what to draw, what it is called, how much it counts."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.errors import TrainingError
from gouache_training import names
from gouache_training.lexicon import Lexicon, singular
from gouache_training.sources import Source
from gouache_training.wordlists import words

__all__ = ["Candidate", "EmojiNames", "candidates", "load_words"]

_LONGEST_NAME = {"game-icons": 4, "pinhead": 4, "temaki": 3, "maki": 3}
_CURATED = frozenset({"game-icons", "temaki", "maki"})  # no words of user interfaces to sift out
_STAR_EVERY = 40  # the clip art library has 1,378 generated stars
_LARGEST_SVG = 1_500_000

_SKIPPED_SUBGROUPS = words("skipped emoji subgroups")

_CLIP_SKIPPED = re.compile(
    r"(signs_and_symbols/(flags|led|clocks)|computer/(?!hardware)|recreation/games/cards|special"
    r"|unsorted/dup|logos|transportation/roadsigns|shapes/(flow|call|jig|arrows|temp)"
    r"|people/smilies|.*(aiga|geography/.*map|_theme|blueberry-|etiquette|bullet_?hole))"
)
_CLIP_NOISE = words("clip noise")
# Folders and keywords that name a thing well enough when nothing better is known.
_CLIP_FOLDERS = words("clip folders")

_CLIP_GENERIC = frozenset(["mammal", "animal", "food", "fish", "menu", "meat", "beverage", "fowl"])
_PIXEL_SECTIONS = re.compile(
    r"^(food-drink|transportation|health(-dentistry|-laboratory)?|beauty-body-care|business-product"
    r"|computers-devices-electronics|content-files|entertainment-events-hobbies|school-science"
    r"|money-payments-accounting|interface-essential|pet-animals|weather|shopping-shipping"
    r"|travel-wayfinding|nature-ecology|building-real-estate|clothes-accessories|sport-games"
    r"|photography|music|romance|vehicle|technology|video-movies|social-rewards|phone)-"
)


@dataclass(frozen=True)
class Candidate:
    """One picture before rendering. Exactly one of `svg` and `path` is set."""

    source: Source
    name: str
    concept: str
    tags: tuple[str, ...]
    synonyms: tuple[str, ...]
    weight: float
    svg: str = ""
    path: str = ""


@dataclass(frozen=True)
class EmojiNames:
    """Unicode's English names: (name, tags, group) by squashed name, and name by code point."""

    by_name: Mapping[str, tuple[str, tuple[str, ...], str]]
    by_code: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path) -> EmojiNames:
        """Read an unpacked `emojibase-data`.

        Raises:
            TrainingError: its tables are missing.
        """
        try:
            rows = json.loads((folder / "en" / "data.json").read_text(encoding="utf-8"))
            meta = json.loads((folder / "meta" / "groups.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise TrainingError(f"emoji names: {error}; fetch emojibase-data again") from None
        by_name = {}
        by_code = {}
        for row in rows:
            if "group" not in row:
                continue
            if meta["subgroups"][str(row["subgroup"])] in _SKIPPED_SUBGROUPS:
                continue
            name = names.everyday(names.clean(row["label"]))
            tags = tuple(names.clean(tag) for tag in row.get("tags", ()))
            group = meta["groups"][str(row["group"])]
            by_name[names.squash(row["label"])] = (name, tags, group)
            by_name.setdefault(names.squash(name), (name, tags, group))
            code = row["hexcode"].lower()
            by_code[code] = by_code[code.replace("-fe0f", "")] = name
        return cls(by_name, by_code)


def load_words(folders: Mapping[str, Path]) -> tuple[Lexicon, EmojiNames]:
    """The dictionary and the emoji names from the fetched `WORD_SOURCES`."""
    return Lexicon.load(folders["wordnet"] / "dict"), EmojiNames.load(folders["emojibase"])


def candidates(
    source: Source, folder: Path, lexicon: Lexicon, emoji: EmojiNames
) -> list[Candidate]:
    """Everything worth drawing in an unpacked source, in a fixed order.

    Raises:
        TrainingError: the folder does not hold what its loader expects, or its own licence note
            disagrees with the table.
    """
    if source.loader == "iconify":
        found = _iconify(source, folder, lexicon, emoji)
    elif source.loader == "emoji3d":
        found = _emoji3d(source, folder, emoji)
    elif source.loader == "openclipart":
        found = _openclipart(source, folder, lexicon)
    else:
        raise TrainingError(f"{source.name}: a source of words has no pictures")
    return [_candidate(source, *entry, lexicon, emoji) for entry in found]


def _candidate(
    source: Source,
    name: str,
    tags: tuple[str, ...],
    payload: Mapping[str, str],
    lexicon: Lexicon,
    emoji: EmojiNames,
) -> Candidate:
    known = emoji.by_name.get(names.squash(name))
    if known is not None:
        name = known[0]
        tags = tags or tuple(tag for tag in known[1] if tag not in name)
    synonyms = names.other_names(name, lexicon)
    weight = source.weight * names.name_weight(
        name, source.kind, known[2] if known else None, lexicon
    )
    concept = names.concept_key(name, lexicon)
    return Candidate(source, name, concept, tags[:8], synonyms, weight, **payload)


_Entry = tuple[str, tuple[str, ...], Mapping[str, str]]


def _iconify(source: Source, folder: Path, lexicon: Lexicon, emoji: EmojiNames) -> Iterator[_Entry]:
    try:
        data = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{source.name}: {error}; fetch it again") from None
    stated = info.get("license", {}).get("spdx", source.licence)
    if stated != source.licence:
        raise TrainingError(f"{source.name}: its licence is {stated}, expected {source.licence}")
    seen: dict[str, int] = {}
    for icon, entry in sorted(data["icons"].items()):
        if entry.get("hidden") or (source.keep and not re.search(source.keep, icon)):
            continue
        name = _icon_name(source, icon, lexicon, emoji)
        if name is None:
            continue
        seen[name] = seen.get(name, 0) + 1
        if source.kind == "mono" and seen[name] > 3:
            continue
        yield name, (), {"svg": _svg(entry, data)}


def _svg(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """A whole SVG from an Iconify entry; one-colour icons become white."""
    left, top = entry.get("left", 0), entry.get("top", 0)
    width = entry.get("width", data.get("width", 16))
    height = entry.get("height", data.get("height", 16))
    body = entry["body"].replace("currentColor", "#fff")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}">{body}</svg>'
    )


def _icon_name(source: Source, icon: str, lexicon: Lexicon, emoji: EmojiNames) -> str | None:
    """The clean name of an icon, or None when it is not worth a picture."""
    plain = names.strip_variant(_PIXEL_SECTIONS.sub("", icon))
    known = emoji.by_name.get(names.squash(plain)) or emoji.by_name.get(names.squash(icon))
    if names.excluded(plain) or names.excluded(icon):
        return None
    emoji_set = source.kind in ("emoji", "render3d") or source.name in (
        "fluent-emoji-high-contrast",
        "emojione-monotone",
    )
    if known is not None and (emoji_set or names.is_thing(known[0], lexicon)):
        return None if names.excluded(known[0]) else known[0]
    name = names.clean(plain)
    if source.name == "fxemoji":  # its names are run together: only known ones can be read
        return None
    if emoji_set:
        # Countries are there as flags; the dictionary knows them as places, not as things.
        plausible = len(name) > 2 and not re.search(r"\d", name) and len(name.split()) <= 7
        plausible = plausible and lexicon.category(name) is not None
        return name if plausible and not names.unlike_brand(name.split()) else None
    longest = _LONGEST_NAME.get(source.name, 2)
    strict = source.name not in _CURATED
    return name if names.is_thing(name, lexicon, longest, strict) else None


def _emoji3d(source: Source, folder: Path, emoji: EmojiNames) -> Iterator[_Entry]:
    files = sorted(folder.glob("assets/*.webp"))
    if not files:
        raise TrainingError(f"{source.name}: no pictures in {folder / 'assets'}")
    for file in files:
        name = emoji.by_code.get(file.stem) or emoji.by_code.get(file.stem.replace("-fe0f", ""))
        if name is not None and not names.excluded(name):
            yield name, (), {"path": str(file)}


def _openclipart(source: Source, folder: Path, lexicon: Lexicon) -> Iterator[_Entry]:
    root = folder / "usr" / "share" / "openclipart" / "svg"
    files = sorted([*root.rglob("*.svg"), *root.rglob("*.svgz")])
    if not files:
        raise TrainingError(f"{source.name}: no pictures in {root}")
    stars = 0
    for file in files:
        inside = file.relative_to(root).as_posix()
        if _CLIP_SKIPPED.match(inside) or file.stat().st_size > _LARGEST_SVG:
            continue
        if inside.startswith("shapes/stars"):
            stars += 1
            if stars % _STAR_EVERY:
                continue
        svg = _read_svg(file)
        name, tags = _clip_name(svg, inside, lexicon)
        if name:
            yield name, tags, {"svg": svg}


def _read_svg(file: Path) -> str:
    data = file.read_bytes()
    if file.suffix == ".svgz":
        data = gzip.decompress(data)
    return data.decode("utf-8", "ignore")


def _clip_name(svg: str, inside: str, lexicon: Lexicon) -> tuple[str, tuple[str, ...]]:
    """Name and tags from the RDF title, the file name, the keywords or the folder, in this order.

    Titles are in several languages and full of authors' names: words the dictionary does not know
    are dropped, and a text without a thing gives way to the next.
    """
    title = re.search(r"<dc:title[^>]*>(.*?)</dc:title>", svg, re.DOTALL)
    keywords = [names.clean(word) for word in re.findall(r"<rdf:li[^>]*>(.*?)</rdf:li>", svg)]
    parts = inside.rsplit(".", 1)[0].split("/")
    things = list(
        _unique(
            word
            for word in keywords
            if word not in _CLIP_NOISE and 2 < len(word) < 24 and lexicon.sense(word) is not None
        )
    )
    texts = [title.group(1) if title else "", parts[-1].split("_architetto")[0]]
    found = [_clip_words(text, lexicon) for text in texts]
    folders = [singular(names.clean(part)) for part in parts[-2::-1]]
    found += [
        word
        for word in (*things, *folders)
        if singular(word) in _CLIP_FOLDERS
        or (word not in _CLIP_GENERIC and lexicon.category(word) in ("animal", "plant", "food"))
    ]
    if "map_symbols" in inside:
        found = [name.removesuffix(" map") for name in found]
    for name in found:
        usable = len(name) > 2 and lexicon.category(name) is not None
        if usable and not names.unlike_brand(name.split()) and not names.excluded(name):
            return name, tuple(word for word in things if word != name)
    return "", ()


def _clip_words(text: str, lexicon: Lexicon) -> str:
    """The English words a title begins with, at most six; what follows is an author or Italian."""
    found: list[str] = []
    for word in names.clean(text).split():
        if word in _CLIP_NOISE or re.search(r"\d", word):
            continue
        linking = word in ("with", "and", "of", "in", "on")
        if not linking and (len(word) < 3 or not lexicon.knows(word)):
            break
        found.append(word)
    name = " ".join(found[:6])
    return re.sub(r"^((with|and|of|in|on)( |$))+|( (with|and|of|in|on))+$", "", name)


def _unique(words: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(words))
