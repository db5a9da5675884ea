"""From file names to captions: cleaning, exclusions, concepts and sampling weights."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable

from gouache_training.colors import COLOR_NAMES
from gouache_training.lexicon import Lexicon, head_noun, singular
from gouache_training.sources import Kind
from gouache_training.wordlists import words

__all__ = [
    "BASICS",
    "clean",
    "concept_key",
    "everyday",
    "excluded",
    "is_thing",
    "name_weight",
    "other_names",
    "share",
    "squash",
    "strip_variant",
    "unlike_brand",
]

_EXCLUDED = re.compile(
    r"skin[- ]tone|-(medium|light|dark)(-(medium|light|dark))*$|^flags?-|-flag$|^regional|keycap"
    r"|^letter-|-letter$|^japanese-.*-button|-button$|clock-\d|o'?-?clock|-thirty$|^digit|squared"
    r"|circled|^input-|arrow$|^arrows?-|variation|modifier|^abstract-\d|^emoji-|red-hair$"
    r"|curly-hair$|white-hair$|^bald$|medium-(light|dark)|couple-with|^kiss-|^family-|^couple-"
    r"|people-holding|women-holding|men-holding|woman-and-man|^mahjong|-of-(circles|bamboos)"
    r"|-suit$|symbol$|^(heavy|black|white)-(small|large|medium|square|circle|large).*"
    r"|^(man|woman|men|women)-(gesturing|getting|tipping|raising|bowing|shrugging|pouting"
    r"|frowning|facepalming|standing|kneeling|walking|running|with-bunny)"
    r"|facing-right|^person-in-bed|^unknown|^tile-|^playing-card|^hexagram|^trigram|sign$"
    r"|^(cl|cool|free|id|new|ng|ok|sos|up|vs|abc?|o|p|m)$|blood-type|^no-|prohibited"
)

_BRANDS = words("brands")

_INTERFACE = words("interface")

_NOUNS_SPOILT = words("spoilt nouns")

_UNSUITABLE = re.compile(
    r"\b(middle finger|anus|penis|vagina|uterus|breasts?|condoms?|contracepti\w+|iud|vibrator|sexy?"
    r"|suicide|noose|hanged|hanging man|swastika|nazi|rape|porn|nude|naked|genitals?|aborti\w+)\b"
)

_DETAILS = re.compile(
    r"( tilted (left|right)| not done| done| without (snow|handle|mouth)|^front facing |^spouting )"
)
_EVERYDAY_NAMES = {
    "articulated lorry": "truck",
    "automobile": "car",
    "cooking": "fried egg in a pan",
    "cooked rice": "bowl of rice",
    "ewe": "sheep",
    "hot beverage": "cup of coffee",
    "lady beetle": "ladybug",
    "locomotive": "steam train",
    "oncoming automobile": "car",
    "oncoming bus": "bus",
    "oncoming taxi": "taxi",
    "oncoming police car": "police car",
    "pile of poo": "poo",
    "pot of food": "pot of stew",
    "poultry leg": "chicken leg",
    "shallow pan of food": "pan of paella",
    "soft ice cream": "ice cream",
    "spiral notepad": "notepad",
    "sport utility vehicle": "suv",
    "steaming bowl": "bowl of noodles",
    "two hump camel": "camel",
}

_SUFFIXES = re.compile(
    r"[-_](\d+|alt|alternate|variant|flat|duo|fill|filled|bold|duotone|bold-duotone|solid|remix"
    r"|outline|small|line|twotone|two|three|four|one|simple|minimalistic|rounded|square-outline"
    r"|\d+-?x\d+|20|24|28|32|48|16|v\d)$"
)

_COLOR_WORDS = frozenset([*COLOR_NAMES, "grey", "violet", "golden", "gold"])

BASICS = words("basics")
"""Everyday concepts that are never held out, so that evaluation prompts stay trained."""

_EVERYDAY = BASICS | {"animal", "insect", "fruit", "vegetable", "building", "vehicle", "tool"}

_CATEGORY_WEIGHT = {
    "animal": 1.7,
    "plant": 1.6,
    "food": 1.5,
    "nature": 1.5,
    "artifact": 1.0,
    "phenomenon": 1.0,
    "body": 0.7,
    "substance": 0.8,
    "shape": 0.6,
    "person": 0.6,
}

_GROUP_WEIGHT = {
    "animals-nature": 1.7,
    "food-drink": 1.5,
    "travel-places": 1.4,
    "activities": 1.1,
    "objects": 1.1,
    "smileys-emotion": 0.35,
    "people-body": 0.3,
    "symbols": 0.2,
    "flags": 0.05,
    "component": 0.1,
}


def squash(name: str) -> str:
    """Letters and digits only, lower case: the form under which spellings are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def clean(name: str) -> str:
    """Lower-case words separated by single spaces; apostrophes stay, everything else goes."""
    text = html.unescape(name).replace("’", "'").lower()
    text = re.sub(r"[^a-z0-9' ]", " ", re.sub(r"[_-]", " ", text))
    return re.sub(r" +", " ", text).strip(" '")


def everyday(name: str) -> str:
    """What people call the thing on an emoji; Unicode tells variants apart that prompts do not."""
    name = _DETAILS.sub("", name)
    return _EVERYDAY_NAMES.get(name, name)


def strip_variant(icon: str) -> str:
    """Drop what only tells variants apart: "cat-2-fill" -> "cat", "tree-duo" -> "tree"."""
    previous = ""
    while previous != icon:
        previous = icon
        icon = _SUFFIXES.sub("", icon)
    return icon


def excluded(icon: str) -> bool:
    """Whether an icon or name is of a kind that teaches nothing: flags, keycaps, skin tones, ..."""
    if _UNSUITABLE.search(icon.replace("-", " ")):
        return True
    return bool(_EXCLUDED.search(icon.replace(" ", "-")))


def unlike_brand(words: Iterable[str]) -> bool:
    """Whether a brand or product is among the words."""
    return any(word in _BRANDS for word in words)


def is_thing(name: str, lexicon: Lexicon, longest: int = 2, strict: bool = True) -> bool:
    """Whether an icon's clean name names something that can be drawn.

    Args:
        name: as `clean` returns it.
        lexicon: decides what is a thing.
        longest: names of more words pass only when the dictionary has them whole.
        strict: refuse words of user interfaces, as sets of interface icons need.
    """
    words = name.split()
    if not words or len(name) < 3 or re.search(r"\d", name) or unlike_brand(words):
        return False
    if strict and any(word in _INTERFACE for word in words):
        return False
    if lexicon.sense(name) is not None and singular(name) not in _NOUNS_SPOILT:
        return True
    if len(words) == 1 or len(words) > longest:
        return False
    head = head_noun(name)
    if singular(head) in _NOUNS_SPOILT or lexicon.sense(head) is None:
        return False
    links = {"with", "of", "in", "on", "and", "the", "a", "under", "above", "beside"}
    return all(word in links or lexicon.knows(word) for word in words)


def concept_key(name: str, lexicon: Lexicon) -> str:
    """What a picture shows, regardless of source, style, number and colour word.

    Synonyms share a key ("auto", "car"), as do plurals and, where a noun follows, colours
    ("red car"). The key is text that stays the same from one build to the next.
    """
    words = name.split()
    while len(words) > 1 and words[0] in _COLOR_WORDS | {"a", "an", "the"}:
        words = words[1:]
    text = " ".join(words)
    if len(words) == 2 and words[1] == "face":  # "cat face" teaches "cat" as much as "cat" does
        part = lexicon.sense(words[0])
        if part is not None and part.category in ("animal", "nature"):
            return part.key
    whole = lexicon.sense(name) or lexicon.sense(text)
    if whole is not None:
        return whole.key
    return " ".join([*words[:-1], singular(words[-1])]) if words else name


def other_names(name: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Names that are also true of the thing: synonyms first, then everyday wider ones.

    "lady beetle": "ladybug", ...; "poodle": "dog"; "cat face": "cat"; "birthday cake": "cake".
    """
    sense = lexicon.sense(name)
    found = [
        other
        for other in lexicon.synonyms(name)
        if other.count(" ") < 2 and lexicon.sense(other) == sense
    ][:3]
    found += [wide for wide in lexicon.wider(name) if wide in _EVERYDAY][:1]
    words = name.split()
    if len(words) == 2 and sense is None:
        part = words[0] if words[1] == "face" else words[1]
        alike = part in _EVERYDAY and lexicon.category(part) == lexicon.category(name)
        if alike or (words[1] == "face" and lexicon.category(part) == "animal"):
            found.append(part)
    return tuple(dict.fromkeys(other for other in found if other != name))


def name_weight(name: str, kind: Kind, group: str | None, lexicon: Lexicon) -> float:
    """How much a picture's name is worth in sampling: concrete nouns up, faces and symbols down.

    Args:
        name: the clean name.
        kind: kind of the source.
        group: Unicode group of the emoji, if the name is one.
        lexicon: gives the category of other names.
    """
    if group is not None:
        weight = _GROUP_WEIGHT[group]
        if group in ("people-body", "smileys-emotion", "symbols"):
            whole = lexicon.sense(name)
            if whole is not None and whole.category != "person":
                weight = max(weight, 0.8)
        return weight
    category = lexicon.category(name)
    if category is None:
        return 0.25 if kind == "clip" else 0.1
    weight = _CATEGORY_WEIGHT[category]
    # A name the dictionary has whole is surer than one judged by its head noun.
    if lexicon.sense(name) is not None:
        return weight
    return (0.4 if kind in ("icon", "mono") else 0.7) * weight


def share(text: str, salt: str) -> float:
    """A number in [0,1) that depends on the text alone: the same split on every machine."""
    digest = hashlib.sha256(f"{salt}:{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
