"""CLIP's tokens: where the vocabulary is looked for, and what it makes of texts."""

from __future__ import annotations

import gzip
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from gouache.errors import ModelError
from gouache.perceptors import clip_tokenizer, load_perceptor
from gouache.perceptors.clip_loading import load_clip
from gouache.perceptors.clip_tokenizer import (
    MERGES,
    ClipTokenizer,
    MendingWarning,
    byte_letters,
    find_tokenizer,
    read_tokenizer,
)
from gouache.perceptors.truncation import TruncationWarning
from gouache.weights.watch import SourceError
from perceptors.clip_samples import VOCABULARY, archive, merges, write_merges

TEXTS = [
    "a red apple",
    "A  RED\n apple's, 12:30!",
    "lighthouse at dusk \N{EM DASH} caf\N{LATIN SMALL LETTER E WITH ACUTE} na\u0308he",
    "we're they've I'm don't",
    "\N{RED APPLE} \u4e2d\u6587 <b>",
    "",
]


def tokenizer(folder: Path) -> ClipTokenizer:
    return ClipTokenizer(
        read_tokenizer(write_merges(folder), VOCABULARY), 77, VOCABULARY, folder / MERGES
    )


def test_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    """An independent implementation, which reads vocabulary and merges."""
    transformers = pytest.importorskip("transformers")
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges())]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    assert len(vocabulary) == VOCABULARY
    other = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges())
    own = tokenizer(tmp_path)
    for text in TEXTS:
        wanted = other(text)["input_ids"]
        found = own([text])[0]
        assert found[: len(wanted)].tolist() == wanted, text
        assert not found[len(wanted) :].any()
    other.save_pretrained(tmp_path / "saved")
    from_json = read_tokenizer(tmp_path / "saved" / "tokenizer.json")
    again = ClipTokenizer(from_json, 77, VOCABULARY, tmp_path)
    assert torch.equal(again(TEXTS), own(TEXTS))


def test_words_are_whole_tokens(tmp_path: Path) -> None:
    row = tokenizer(tmp_path)(["red apple"])[0]
    assert row[0] == VOCABULARY - 2
    assert row.argmax() == 3  # start, red, apple, end
    assert row.shape == (77,)


def test_entities_and_spaces_are_cleaned(tmp_path: Path) -> None:
    own = tokenizer(tmp_path)
    assert torch.equal(own(["red &amp;amp; apple"]), own([" red  &\tapple "]))


def test_what_does_not_fit_is_cut_off_and_shown(tmp_path: Path) -> None:
    own = ClipTokenizer(read_tokenizer(write_merges(tmp_path), VOCABULARY), 5, VOCABULARY, tmp_path)
    with pytest.warns(TruncationWarning, match=r"reads 3 tokens of 5; cut off: 'white Dusk'$"):
        row = own(["red apple on white Dusk"])[0]
    assert row.tolist() == [598, *own(["red apple on"])[0, 1:4].tolist(), 599]
    with pytest.warns(TruncationWarning) as seen:
        own(["red apple on " + "lighthouse dusk " * 40])
    assert len(str(seen[0].message)) < 160


def test_nothing_is_said_of_what_fits(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    own = ClipTokenizer(read_tokenizer(write_merges(tmp_path), VOCABULARY), 5, VOCABULARY, tmp_path)
    own(["red apple on"])
    assert not recwarn


def test_the_vocabulary_must_be_the_models_own(tmp_path: Path) -> None:
    write_merges(tmp_path, 70)
    with pytest.raises(ModelError, match="has 584 tokens; the model expects 600"):
        find_tokenizer(tmp_path / "clip.pt", 77, VOCABULARY)


@pytest.mark.parametrize("name", ["tokenizer.json", MERGES])
def test_damaged_files_are_one_line(tmp_path: Path, name: str) -> None:
    for content in (b"", b"\x00nothing", gzip.compress(b"header\none two three\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name.replace(".", r"\.")) as error:
            find_tokenizer(tmp_path / "clip.pt", 77, VOCABULARY)
        assert "\n" not in str(error.value)


def test_a_missing_vocabulary_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(archive("vit"), tmp_path / "clip.pt")
    with pytest.raises(ModelError) as error:
        load_perceptor(str(tmp_path / "clip.pt"))
    message = str(error.value)
    assert "\n" not in message
    assert "tokenizer.json" in message
    assert MERGES in message
    assert str(tmp_path) in message


def full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small vocabulary under the guise of CLIP's usual one; a checkpoint in a folder."""
    monkeypatch.setattr(clip_tokenizer, "CLIP_VOCABULARY", VOCABULARY)
    monkeypatch.setenv("GOUACHE_CACHE", str(folder / "cache"))
    (folder / "models").mkdir()
    return Path(shutil.copy(archive("vit"), folder / "models" / "clip.pt"))


def test_the_cache_has_one_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = full(tmp_path, monkeypatch)
    place = tmp_path / "cache" / "tokenizers" / "clip"
    place.mkdir(parents=True)
    write_merges(place)
    assert load_clip(path).embed_text(["red apple"]).shape == (1, 32)


def test_it_is_fetched_where_there_is_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = full(tmp_path, monkeypatch)
    asked: list[Any] = []

    def no_network(source: Any, watch: Any) -> Any:
        asked.append(source)
        raise SourceError("HF_HUB_OFFLINE is set")

    monkeypatch.setattr(clip_tokenizer, "fetch_file", no_network)
    with pytest.raises(ModelError, match=r"could not be fetched .*OFFLINE") as error:
        load_clip(path)
    assert str(tmp_path / "cache" / "tokenizers" / "clip") in str(error.value)
    assert asked[0].path == "tokenizer.json"

    class Copy:
        path = write_merges(tmp_path)

    monkeypatch.setattr(clip_tokenizer, "fetch_file", lambda source, watch: Copy)
    assert load_clip(path).embed_text(["red apple"]).shape == (1, 32)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("it\u2019s a \u201cred\u201d apple", 'it\'s a "red" apple'),
        ("it\u00e2\u20ac\u2122s red", "it's red"),  # UTF-8 read as something else
        ("caf\u00c3\u00a9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("\uff52\uff45\uff44", "red"),
        ("&amp;lt;red&amp;gt;", "<red>"),
        ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"),  # the last sigma is another
        ("red\u00a0\u2003apple\u3000", "red apple"),
        ("RED APPLE", "red apple"),
    ],
)
def test_texts_are_mended_as_for_training(tmp_path: Path, text: str, same: str) -> None:
    own = tokenizer(tmp_path)
    assert torch.equal(own([text]), own([same]))


def test_marks_within_a_text_are_one_token_each(tmp_path: Path) -> None:
    """As with OpenAI's tokenizer, which ends the text there."""
    own = tokenizer(tmp_path)
    assert own(["red <|endoftext|> apple"])[0, 2] == VOCABULARY - 1
    assert own(["red <|ENDOFTEXT|>"])[0, 2] == VOCABULARY - 1
    assert own(["<|startoftext|>red"])[0, 1] == VOCABULARY - 2


def test_half_a_character_is_no_crash(tmp_path: Path) -> None:
    assert tokenizer(tmp_path)(["red \ud83d apple"]).shape == (1, 77)


def test_without_ftfy_one_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tokenizer(tmp_path)
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.warns(MendingWarning, match=r"gouache\[models\]"):
        own(["it\u2019s"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own(["a red & green apple", "plain"])
