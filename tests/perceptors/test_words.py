"""Words that a perceptor does not know: read where they can be, told of where they cannot."""

from __future__ import annotations

import random
import unicodedata
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gouache.engine.words import UnknownWordsWarning, check_words
from gouache.errors import PromptError
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.weights.shipped import TOKENIZER

# A character of each of forty scripts, and how many letters follow it.
SCRIPTS = {
    **{"Greek": (0x3B1, 17), "Cyrillic": (0x430, 32), "Armenian": (0x561, 38)},
    **{"Hebrew": (0x5D0, 26), "Arabic": (0x628, 18), "Syriac": (0x712, 29), "Thaana": (0x780, 37)},
    **{"Nko": (0x7CA, 32), "Samaritan": (0x800, 21), "Mandaic": (0x840, 24)},
    **{"Devanagari": (0x905, 52), "Bengali": (0x995, 19), "Gurmukhi": (0xA15, 19)},
    **{"Gujarati": (0xA95, 19), "Oriya": (0xB15, 19), "Tamil": (0xBAE, 11)},
    **{"Telugu": (0xC15, 19), "Kannada": (0xC95, 19), "Malayalam": (0xD15, 35)},
    **{"Sinhala": (0xD9A, 23), "Thai": (0xE01, 46), "Lao": (0xE94, 15), "Tibetan": (0xF40, 7)},
    **{"Myanmar": (0x1000, 42), "Georgian": (0x10D0, 42), "Hangul": (0xAC00, 11171)},
    **{"Ethiopic": (0x1200, 72), "Cherokee": (0x13A0, 85), "Canadian": (0x1401, 600)},
    **{"Ogham": (0x1681, 25), "Runic": (0x16A0, 74), "Khmer": (0x1780, 51)},
    **{"Mongolian": (0x1820, 88), "Hiragana": (0x3042, 84), "Katakana": (0x30A2, 84)},
    **{"Bopomofo": (0x3105, 42), "Han": (0x4E00, 20000), "Yi": (0xA000, 1164)},
    **{"Gothic": (0x10330, 26), "Egyptian": (0x13000, 1000)},
}


POCKET = PocketTokenizer(TOKENIZER, 24)


@pytest.fixture
def tokenizer() -> PocketTokenizer:
    return POCKET


def same(tokenizer: PocketTokenizer, one: str, other: str) -> bool:
    return torch.equal(tokenizer([one]), tokenizer([other]))


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("\uff41 \uff32\uff25\uff24 \uff41\uff50\uff50\uff4c\uff45", "a red apple"),  # full width
        ("\U0001d41a \U0001d42b\U0001d41e\U0001d41d apple", "a red apple"),  # mathematical
        ("\u24d0 \u24e1\u24d4\u24d3 apple", "a red apple"),  # in circles
        ("a red \ufb01sh", "a red fish"),
        ("the artist\u2019s \u201cred\u201d apple", 'the artist\'s "red" apple'),
        ("a r\u200bed ap\u00adple\ufeff", "a red apple"),
        ("a re\u0301sume\u0301", "a r\u00e9sum\u00e9"),
        ("\u0663 apples", "3 apples"),
        ("3\ufe0f\u20e3 apples", "3 apples"),
        ("a \N{RED APPLE}", "a red apple"),
        ("a red\u3000apple\uff0c a pear", "a red apple\uff0c a pear"),
    ],
)
def test_what_looks_like_plain_letters_is_read_as_such(tokenizer, written, plain):
    assert same(tokenizer, written, plain)
    assert tokenizer.unknown_words(written) == []


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=60))
def test_plain_text_is_not_touched(text):
    tokenizer = POCKET
    spelled = tokenizer._tokenizer.encode(" ".join(text.split()), add_special_tokens=False).ids
    assert tokenizer([text], warn=False)[0].tolist()[: len(spelled[:24])] == spelled[:24]


@pytest.mark.parametrize("text", ["x\u00b2", "\u00bd", "\u2026", "caf\u00e9 5\u20ac", "\u2605"])
def test_signs_that_the_vocabulary_has_stay(tokenizer, text):
    assert tokenizer.unknown_words(text) == []
    if text != "\u2605":  # pictographs are read by their names
        ids = tokenizer._tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer([text])[0].tolist() == ids


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("\u82f9\u679c", ["\u82f9\u679c"]),
        ("red \u82f9\u679c, \u68a8", ["\u82f9\u679c", "\u68a8"]),
        ("red\u82f9\u679c", ["\u82f9\u679c"]),
        (
            "\u043a\u0440\u0430\u0441\u043d\u043e\u0435 apple",
            ["\u043a\u0440\u0430\u0441\u043d\u043e\u0435"],
        ),
        ("\u0430pple", ["\u0430pple"]),  # the first letter is Cyrillic
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("a \U0010ffff \ue000", ["\U0010ffff", "\ue000"]),
        ("\u0301", ["\u0301"]),
        ("a \u2817 b", ["\u2817"]),  # Braille is writing, not a pictograph
        ("a red apple, 12:30! #1 (50%) don't", []),
    ],
)
def test_which_words_are_unknown(tokenizer, text, unknown):
    assert tokenizer.unknown_words(text) == unknown


def test_a_thousand_prompts_in_forty_scripts(tokenizer):
    assert len(SCRIPTS) == 40
    rng = random.Random(1)
    seen: dict[tuple[int, ...], str] = {}
    for number in range(1000):
        first, count = SCRIPTS[sorted(SCRIPTS)[number % 40]]
        letters = [chr(first + rng.randrange(count)) for _ in range(rng.randrange(2, 9))]
        word = "".join(c for c in letters if unicodedata.category(c)[0] == "L") or chr(first)
        assert tokenizer.unknown_words(word), word
        assert tokenizer.unknown_words(f"a red {word} apple"), word
        seen.setdefault(tuple(tokenizer([word], warn=False)[0].tolist()), word)
        with pytest.raises(PromptError, match="knows no word"):
            check_words([word], [Guide(tokenizer)])


# The grammar of prompts refuses control characters and lone surrogates.
@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30))
def test_whatever_is_written_nothing_unknown_is_silent(text):
    tokenizer = POCKET
    unknown = tokenizer.unknown_words(text)
    assert all(word and word in text for word in unknown)
    ids = tokenizer([text], warn=False)[0].tolist()
    visible = any(not c.isspace() and unicodedata.category(c) != "Cf" for c in text)
    if visible and tokenizer._unknown in ids:
        assert unknown


class Guide:
    """Knows what the pocket perceptor's tokenizer knows."""

    def __init__(self, tokenizer: PocketTokenizer, name: str = "pocket") -> None:
        self.name = name
        self.unknown_words = tokenizer.unknown_words


class KnowsAll:
    name = "all"


def test_one_note_for_all_unknown_words(tokenizer):
    with pytest.warns(UnknownWordsWarning) as told:
        check_words(["a red \u82f9\u679c", "a blue \u68a8", "a \u82f9\u679c"], [Guide(tokenizer)])
    assert [str(one.message) for one in told] == [
        "the guide pocket does not know '\u82f9\u679c', '\u68a8'; write it in English"
    ]
    many = " ".join(chr(0x4E00 + k) for k in range(20))
    with pytest.warns(UnknownWordsWarning, match="and 12 more words"):
        check_words([f"red {many}"], [Guide(tokenizer)])


def test_guides_that_lack_the_same_words_are_told_together(tokenizer):
    both = [Guide(tokenizer), Guide(tokenizer, "photo")]
    with pytest.warns(UnknownWordsWarning) as told:
        check_words(["a red \u82f9\u679c"], both)
    assert [str(one.message) for one in told] == [
        "the guides pocket and photo do not know '\u82f9\u679c'; write it in English"
    ]
    few = Guide(tokenizer, "few")
    few.unknown_words = lambda text: ["red", *tokenizer.unknown_words(text)]
    with pytest.warns(UnknownWordsWarning) as told:
        check_words(["a red \u82f9\u679c"], [*both, few])
    assert [str(one.message) for one in told] == [
        "the guides pocket and photo do not know '\u82f9\u679c'; the guide few does not know "
        "'red', '\u82f9\u679c'; write it in English"
    ]


def test_known_words_and_other_guides(tokenizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_words(["a red apple", "\u82f9\u679c"], [KnowsAll()])
        check_words(["a red apple", "\N{RED APPLE}"], [Guide(tokenizer)])
    with pytest.warns(UnknownWordsWarning, match="pocket does not know"):
        check_words(["\u82f9\u679c"], [Guide(tokenizer), KnowsAll()])
    with pytest.raises(PromptError, match="pocket and other know no word of '\u82f9\u679c!'"):
        check_words(["\u82f9\u679c!"], [Guide(tokenizer), Guide(tokenizer, "other")])
