"""What classes say about nouns, on a dictionary of a dozen words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gouache.errors import TrainingError
from gouache_training.lexicon import Lexicon
from gouache_training.phrases import Phrases
from gouache_training.taxonomy import (
    CLASSES,
    CURATED,
    UNKNOWN,
    Known,
    Taxonomy,
    class_synsets,
    worth_comparing,
)

# number: (lemmas, wider). The classes are tabby, persian, castle, crane (the bird), schooner.
SYNSETS: dict[int, tuple[tuple[str, ...], int | None]] = {
    1: (("thing",), None),
    10: (("animal",), 1),
    11: (("cat",), 10),
    12: (("tabby", "tabby cat"), 11),
    13: (("persian",), 11),
    14: (("crane",), 10),
    20: (("building",), 1),
    21: (("castle", "fortress"), 20),
    22: (("crane",), 1),
    23: (("keep",), 21),
    24: (("schooner",), 1),
    30: (("hope",), None),
    40: (("person",), 1),
    41: (("groom",), 40),
}
NOUNS = {
    "thing": (1,), "animal": (10,), "cat": (11,), "tabby": (12,), "tabby cat": (12,),
    "persian": (13,), "crane": (22, 14), "building": (20,), "castle": (21,), "fortress": (21,),
    "keep": (23,), "schooner": (24,), "hope": (30,), "person": (40,),
    "groom": (41,),
}  # fmt: skip
CLASS_SYNSETS = [12, 13, 21, 14, 24, 41]
PLAIN = ["tabby cat", "Persian cat", "castle", "crane bird", "schooner", "bridegroom"]


def lexicon() -> Lexicon:
    files = {n: 18 if n in (40, 41) else 5 for n in SYNSETS}
    return Lexicon(
        {
            noun: tuple((n, 18 if n in (40, 41) else 5) for n in found)
            for noun, found in NOUNS.items()
        },
        synonyms={n: lemmas for n, (lemmas, _) in SYNSETS.items()},
        broader={n: wider for n, (_, wider) in SYNSETS.items() if wider is not None},
        files=files,
    )


def taxonomy(monkeypatch: pytest.MonkeyPatch, **similar: list[float]) -> Taxonomy:
    monkeypatch.setattr("gouache_training.taxonomy.CURATED", {})
    monkeypatch.setattr("gouache_training.taxonomy._MENDED", {})
    rows = torch.zeros(len(similar), CLASSES)
    for row, values in zip(rows, similar.values(), strict=True):
        row[: len(values)] = torch.tensor(values)
    names = [name.replace("_", " ") for name in similar]
    return Taxonomy(lexicon(), CLASS_SYNSETS, names, rows, PLAIN)


def test_a_class_is_itself_and_a_wide_word_is_its_usual_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = taxonomy(monkeypatch, cat=[0.8, 0.7])
    for name in ("tabby cat", "Tabby Cat", "two tabby cats"):
        found = known.known(name)
        assert found.confidence == 1
        assert found.mixture.argmax() == 0
        assert float(found.mixture.sum()) == pytest.approx(1)
    cat = known.known("cats")
    assert cat.confidence == 1
    assert float(cat.mixture[:2].sum()) == pytest.approx(1)
    assert cat.mixture[0] > cat.mixture[1] > 0


def test_what_sounds_alike_but_lies_elsewhere_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    known = taxonomy(monkeypatch, hope=[0.9])
    assert known.known("hope").confidence == 0
    assert known.known("zyzzyva").confidence == 0
    assert known.known("").confidence == 0


def test_a_word_that_resembles_no_class_below_it_is_not_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert taxonomy(monkeypatch, cat=[0.4, 0.3]).known("cat").confidence == 0


def test_people_are_not_told_by_their_costumes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert taxonomy(monkeypatch, person=[0, 0, 0, 0, 0, 0.9]).known("person").confidence == 0


def test_narrower_words_look_like_their_class(monkeypatch: pytest.MonkeyPatch) -> None:
    found = taxonomy(monkeypatch, keep=[0, 0, 0.7]).known("keep")
    assert found.mixture.argmax() == 2
    assert 0 < found.confidence < 1
    assert taxonomy(monkeypatch, keep=[0, 0, 0.2]).known("keep").confidence == 0


def test_synsets_are_told_by_where_their_neighbours_went() -> None:
    """In the newer file everything lies 100 further on; which "crane" is meant follows."""
    names = [["tabby", "tabby cat"], ["crane"], ["schooner"], ["castle", "fortress"]]
    old = [12 - 100, 14 - 100, 24 - 100, 21 - 100]
    assert class_synsets(names, old, lexicon()) == [12, 14, 24, 21]
    old[1] = 22 - 100
    assert class_synsets(names, old, lexicon())[1] == 22
    with pytest.raises(TrainingError, match="no 'dragon'"):
        class_synsets([["dragon"]], [1], lexicon())


def test_only_nouns_near_a_class_are_compared() -> None:
    near = worth_comparing(lexicon(), CLASS_SYNSETS)
    assert {"cat", "tabby", "castle", "keep", "crane"} <= set(near)
    assert "hope" not in near


def test_the_curated_words_fit_their_classes() -> None:
    with pytest.raises(TrainingError, match="no class is called"):
        Taxonomy(lexicon(), CLASS_SYNSETS, [], torch.zeros(0, CLASSES), PLAIN)
    assert all(0 <= float(entry.partition(":")[2]) <= 1 for entry in CURATED)


def pools() -> list[list[tuple[str, Known]]]:
    one, other = torch.zeros(2, CLASSES)
    one[0] = other[1] = 1
    return [[("castle", Known(one, 1.0))], [("keep", Known(other, 0.5))], [("hope", UNKNOWN)], []]


def test_captions_mean_what_their_nouns_mean() -> None:
    phrases = Phrases(pools(), np.random.default_rng(0)).batch(400)
    told: set[float] = set()
    for phrase in phrases:
        assert float(phrase.mixture.sum()) == pytest.approx(1, abs=1e-5)
        assert 0 <= phrase.confidence <= 1
        has = [word for word in ("castle", "keep", "hope") if word in phrase.text]
        assert has, phrase.text
        if has == ["hope"]:
            assert phrase.confidence == 0
        if has == ["castle"]:
            assert phrase.mixture[0] == 1
            # 1 less what both leave untold, where it is drawn twice.
            assert min(abs(phrase.confidence - sure) for sure in (1, 0.84, 0.945)) < 1e-6
        if has == ["castle", "hope"]:
            told.add(round(phrase.confidence, 6))
            assert phrase.mixture[0] == 1
    # What is known of one of two things is worth telling: more where it stands first.
    assert told == {0.9, 0.6, 0.45}
    assert len({phrase.text for phrase in phrases}) > 200


def test_captions_follow_the_chance_given() -> None:
    one, two, other = (Phrases(pools(), np.random.default_rng(s)).batch(20) for s in (1, 1, 2))
    assert [p.text for p in one] == [p.text for p in two]
    assert [p.text for p in one] != [p.text for p in other]
