"""Texts in the letters that a vocabulary of English has, and which of their words it does not know.

What looks like a plain letter is read as one (full-width and mathematical letters, ligatures,
letters in circles), what is invisible is not read, and pictographs are read by their Unicode names,
which are plain English. Plain ASCII is never changed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Container, Iterator
from typing import Literal, NamedTuple

Kind = Literal["space", "hidden", "word", "wide", "symbol"]

_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
    }
)
# Pictographs by category that are writing all the same: their names say nothing of what is meant.
_WRITING = ("BRAILLE", "SIGNWRITING", "KANGXI", "CJK", "YI RADICAL", "IDEOGRAPHIC", "HEXAGRAM FOR")


class _Piece(NamedTuple):
    text: str  # as it was written, marks and invisible characters included
    kind: Kind


def spell(text: str, vocabulary: Container[str]) -> str:
    """`text` for a tokenizer whose tokens of one character are in `vocabulary`.

    Emoji and other pictographs become their names ("\N{RED APPLE}" -> "red apple"), and so do
    signs that the vocabulary lacks; curly quotes become straight ones; compatibility characters
    their plain form (NFKC), but for signs that the vocabulary has; foreign digits become 0 to 9.
    """
    if text.isascii():
        return " ".join(text.split())
    composed = unicodedata.normalize("NFC", text.translate(_QUOTES))
    return " ".join("".join(_spelled(c, vocabulary) for c in composed).split())


def unknown_words(
    text: str, vocabulary: Container[str], has_unknown: Callable[[str], bool]
) -> list[str]:
    """The words of `text`, as they were written, that such a vocabulary does not know, in order.

    These are words in another script than Latin, of which a vocabulary of English has single
    letters at most, characters without a name, and whatever `has_unknown` tokens once it is
    spelled. Where words are not set apart by spaces (Chinese, say) a run of letters is a word.
    """
    pieces = list(_pieces(text))
    if not pieces and text.strip():  # marks without a letter that they belong to
        return [text.strip()]
    return list(
        dict.fromkeys(
            piece.text
            for piece in pieces
            if _is_foreign(piece) or has_unknown(spell(piece.text, vocabulary))
        )
    )


def _spelled(char: str, vocabulary: Container[str]) -> str:
    if char.isascii():
        return char
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Mc", "Me", "Cs"):
        return ""  # joiners, variation selectors, accents: they carry no word and part none
    if category in ("Sk", "Co", "Cn"):
        return " "  # skin tones, and what has no name
    plain = unicodedata.normalize("NFKC", char)
    if category == "So":
        return plain if _is_letter(plain) else f" {unicodedata.name(char, '').lower()} "
    if category[0] == "L":
        return plain
    if char in vocabulary or category[0] == "Z" or char.isspace():
        return char
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if plain != char or category[0] == "N":
        return plain
    return f" {unicodedata.name(char, char).lower()} "


def _pieces(text: str) -> Iterator[_Piece]:
    """Words and single signs; what is invisible belongs to what it stands behind."""
    piece = ""
    kind: Kind = "space"
    for char in text:
        found = _kind(char)
        if found == "hidden":
            piece += char
            continue
        if found != kind or found == "symbol":
            if kind != "space":
                yield _Piece(piece, kind)
            piece, kind = "", found
        piece += char
    if kind != "space":
        yield _Piece(piece, kind)


def _kind(char: str) -> Kind:
    category = unicodedata.category(char)
    if char.isspace() or category[0] == "Z":
        return "space"
    if not char.isascii() and category in ("Cf", "Mn", "Mc", "Me", "Sk", "Cs"):
        return "hidden"
    plain = unicodedata.normalize("NFKC", char)
    if category[0] in "LN" or (category == "So" and _is_letter(plain)):
        wide = unicodedata.east_asian_width(plain[0]) in ("W", "F")
        return "wide" if wide and not _is_latin(plain[0]) else "word"
    return "symbol"


def _is_foreign(piece: _Piece) -> bool:
    if piece.kind == "symbol":
        return unicodedata.category(piece.text[0]) in ("Co", "Cn") or unicodedata.name(
            piece.text[0], ""
        ).startswith(_WRITING)
    plain = unicodedata.normalize("NFKC", piece.text)
    letters = (char for char in plain if unicodedata.category(char)[0] == "L")
    return piece.kind == "wide" or not all(map(_is_latin, letters))


def _is_latin(char: str) -> bool:
    """Latin letters, and those between letters that belong to no script."""
    return char.isascii() or unicodedata.name(char, "").startswith(("LATIN", "MODIFIER LETTER"))


def _is_letter(plain: str) -> bool:
    return len(plain) == 1 and plain.isascii() and plain.isalnum()


__all__ = ["spell", "unknown_words"]
