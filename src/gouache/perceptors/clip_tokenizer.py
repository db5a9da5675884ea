"""CLIP's byte-pair tokens. No checkpoint has the vocabulary: it lies beside it or in the cache."""

from __future__ import annotations

import gzip
import html
import re
import unicodedata
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from gouache.errors import GouacheError, ModelError
from gouache.perceptors.truncation import warn_truncated
from gouache.weights.catalogue import HubFile, catalogue
from gouache.weights.hub import fetch_file
from gouache.weights.records import cache_folder, read
from gouache.weights.watch import SourceError, Warnings

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = "bpe_simple_vocab_16e6.txt.gz"  # as in OpenAI's repository
FILES = ("tokenizer.json", MERGES)
HUB = HubFile("openai/clip-vit-base-patch32", "tokenizer.json")
CLIP_VOCABULARY = 49408
MAX_BYTES = 64 << 20
# Words with their apostrophes, single digits, runs of other signs (CLIP's tokenizer, appendix A).
_PIECES = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
# What Unicode calls white space; Python's own pattern also has four control characters.
_SPACES = re.compile(
    "[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
)


class ClipTokenizer:
    """Texts to token ids (N,context): start, at most context - 2 tokens, end, zeros."""

    def __init__(self, tokenizer: Tokenizer, context: int, vocabulary: int, source: Path) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # `prepared` does what is to be done, as OpenAI does it and tokenizers do not quite.
        tokenizer.normalizer = normalizers.Sequence([])
        if tokenizer.token_to_id(END) is not None:
            tokenizer.add_special_tokens([START, END])  # one token each where they stand in a text
        start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
        size = tokenizer.get_vocab_size()
        # The text tower finds the end of a text by its number, the highest one.
        if size != vocabulary or start != vocabulary - 2 or end != vocabulary - 1:
            raise ModelError(
                f"{source} has {size} tokens; the model expects {vocabulary}, "
                f"the last two {START} and {END}; put its own tokenizer beside it"
            )
        self._tokenizer = tokenizer
        self._start, self._end = start, end
        self.context = context

    def __call__(self, texts: Sequence[str]) -> Tensor:
        tokens = torch.zeros(len(texts), self.context, dtype=torch.long)
        cleaned = [clean(text) for text in texts]
        lowered = [text.lower() for text in cleaned]
        room = self.context - 2
        encodings = self._tokenizer.encode_batch(lowered, add_special_tokens=False)
        for row, (text, low, encoding) in enumerate(zip(cleaned, lowered, encodings, strict=True)):
            if len(encoding.ids) > room:
                # A few letters are longer in small; then places are those in the small text.
                shown = text if len(text) == len(low) else low
                cut = shown[encoding.offsets[room - 1][1] :]
                warn_truncated(cut, room, len(encoding.ids))
            ids = [self._start, *encoding.ids[:room], self._end]
            tokens[row, : len(ids)] = torch.tensor(ids)
        return tokens


def clean(text: str) -> str:
    """As CLIP's training texts were: mended by ftfy, HTML entities resolved (twice), one space
    between words.

    ftfy undoes wrong decodings and curly quotes. Without it a `MendingWarning` says once that texts
    with such characters are read differently.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # halves of characters have no tokens
    text = html.unescape(html.unescape(_mended(text)))
    return _SPACES.sub(" ", text.strip()).strip()


class MendingWarning(UserWarning):
    """The package ftfy, by which CLIP's training texts were cleaned, is missing."""


def _mended(text: str) -> str:
    if text.isascii() and text.isprintable() and "&" not in text:
        return text  # nothing to mend; importing takes a moment
    try:
        from ftfy import fix_text
    except ImportError:
        if not text.isascii():
            warnings.warn(
                "the package ftfy is missing: curly quotes and wrongly decoded letters are not "
                "read as CLIP was trained; run: pip install 'gouache[models]'",
                MendingWarning,
                stacklevel=5,
            )
        return unicodedata.normalize("NFC", text)
    return str(fix_text(text))


def find_tokenizer(weights: Path, context: int, vocabulary: int) -> ClipTokenizer:
    """The tokenizer for the CLIP in `weights`: a file beside it, else one in the cache.

    `tokenizer.json` (of any CLIP on the Hugging Face hub) and OpenAI's
    `bpe_simple_vocab_16e6.txt.gz` are both known. With a network, and for CLIP's usual vocabulary,
    it is fetched where it is missing; else `ModelError` names the file and its place.
    """
    beside = weights if weights.is_dir() else weights.parent
    own = cache_folder() / "tokenizers" / "clip"
    places = [beside]
    reason = ""
    if vocabulary == CLIP_VOCABULARY:
        places += [own, *_fetched_models()]
    for place in (folder / name for folder in places for name in FILES):
        if place.is_file():
            return ClipTokenizer(read_tokenizer(place, vocabulary), context, vocabulary, place)
    if vocabulary == CLIP_VOCABULARY:
        try:
            found = fetch_file(HUB, Warnings()).path
            return ClipTokenizer(read_tokenizer(found, vocabulary), context, vocabulary, found)
        except (GouacheError, SourceError) as error:
            reason = f" and could not be fetched ({error})"
    where = f"{beside} or {own}" if vocabulary == CLIP_VOCABULARY else str(beside)
    raise ModelError(
        f"the vocabulary of {weights} is missing{reason}; place tokenizer.json (from "
        f"https://huggingface.co/{HUB.repo}) or {MERGES} in {where}"
    )


def read_tokenizer(path: Path, vocabulary: int = CLIP_VOCABULARY) -> Tokenizer:
    """A tokenizer from one of `FILES`; `ModelError` where it is damaged or something else."""
    try:
        if path.suffix == ".json":
            return Tokenizer.from_file(str(path))
        return _from_merges(path, vocabulary)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (EOFError, zlib.error, ValueError):
        raise ModelError(f"{path} is damaged; expected the merges of CLIP's vocabulary") from None
    except Exception as error:  # the library raises bare Exception
        reason = " ".join(str(error).split())[:100]
        raise ModelError(f"the tokenizer {path} cannot be read ({reason})") from None


def _from_merges(path: Path, vocabulary: int) -> Tokenizer:
    """From a list of merges, the most frequent first, under one line of header."""
    with gzip.open(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    lines = [line for line in content.decode("utf-8").split("\n")[1:] if line]
    pairs = [line.split() for line in lines[: vocabulary - len(tokens) - 2]]
    merges = [(left, right) for left, right in pairs]
    tokens += ["".join(pair) for pair in merges] + [START, END]
    table = {token: number for number, token in enumerate(tokens)}
    model = models.BPE(
        vocab=table, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>"
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def byte_letters() -> list[str]:
    """A visible character for each of the 256 bytes, in the order of the vocabulary.

    Printable Latin-1 stands for itself and comes first; the others follow from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(0x100 + number) for number in range(others)]


def _fetched_models() -> list[Path]:
    """Folders of published CLIPs that are in the cache and bring the same vocabulary."""
    records = [read(name) for name, entry in catalogue().items() if _is_openai(entry.hub)]
    return [record.path for record in records if record is not None]


def _is_openai(hub: str | None) -> bool:
    return hub is not None and hub.startswith("openai/clip-")


__all__ = ["ClipTokenizer", "find_tokenizer", "read_tokenizer"]
