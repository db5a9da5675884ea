"""Names: what is cleaned, what is left out, what counts as the same thing."""

from __future__ import annotations

import pytest

from gouache_training import captions, names
from gouache_training.collect import EmojiNames, candidates
from gouache_training.lexicon import head_noun, singular
from gouache_training.sources import ALLOWED_LICENCES, Source, all_sources, attribution
from training.dataset_samples import LEXICON, source


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("Jack-O-Lantern", "jack o lantern"), ("woman&#39;s_hat!", "woman's hat"), ("  a  b ", "a b")],
)
def test_clean_leaves_lower_case_words(raw: str, expected: str) -> None:
    assert names.clean(raw) == expected
    assert names.clean(names.clean(raw)) == expected


@pytest.mark.parametrize("icon", ["flag-france", "thumbs-up-dark-skin-tone", "keycap-3", "o-clock"])
def test_uninformative_icons_are_excluded(icon: str) -> None:
    assert names.excluded(icon)


@pytest.mark.parametrize("icon", ["cat", "black-cat", "clock", "sun-behind-cloud"])
def test_things_are_not_excluded(icon: str) -> None:
    assert not names.excluded(icon)


@pytest.mark.parametrize(
    ("icon", "expected"), [("cat-2-fill", "cat"), ("tree-duo", "tree"), ("box-bold-duotone", "box")]
)
def test_variants_share_a_name(icon: str, expected: str) -> None:
    assert names.strip_variant(icon) == expected


def test_only_drawable_names_are_things() -> None:
    assert names.is_thing("cat", LEXICON)
    assert names.is_thing("wooden box", LEXICON)
    assert not names.is_thing("idea", LEXICON)  # a notion
    assert not names.is_thing("texas", LEXICON)  # a place
    assert not names.is_thing("light box", LEXICON)  # a word of interfaces
    assert names.is_thing("light box", LEXICON, strict=False)
    assert not names.is_thing("google car", LEXICON, strict=False)  # a brand
    assert not names.is_thing("happy wooden box", LEXICON, longest=2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("red apple", "apple"),
        ("auto", "car"),
        ("cats", "cat"),
        ("cow face", "cow"),
        ("a box", "box"),
    ],
)
def test_same_thing_same_concept(one: str, other: str) -> None:
    assert names.concept_key(one, LEXICON) == names.concept_key(other, LEXICON)


@pytest.mark.parametrize(("one", "other"), [("glasses", "glass"), ("birthday cake", "cake")])
def test_different_things_differ(one: str, other: str) -> None:
    assert names.concept_key(one, LEXICON) != names.concept_key(other, LEXICON)


def test_other_names_are_true_of_the_thing() -> None:
    assert "auto" in names.other_names("car", LEXICON)
    assert "dog" in names.other_names("hound", LEXICON)
    assert "cake" in names.other_names("birthday cake", LEXICON)
    assert "cow" in names.other_names("cow face", LEXICON)
    assert names.other_names("idea", LEXICON) == ()


def test_concrete_nouns_weigh_more_than_faces() -> None:
    animal = names.name_weight("cat", "emoji", "animals-nature", LEXICON)
    smiley = names.name_weight("grinning face", "emoji", "smileys-emotion", LEXICON)
    unsure = names.name_weight("wooden box", "mono", None, LEXICON)
    sure = names.name_weight("box", "mono", None, LEXICON)
    assert animal > sure > unsure > 0
    assert animal > 3 * smiley


def test_share_depends_on_text_and_salt_only() -> None:
    assert names.share("cat", "a") == names.share("cat", "a")
    assert names.share("cat", "a") != names.share("cat", "b")
    assert 0 <= names.share("cat", "a") < 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "a cat"),
        ("owl", "an owl"),
        ("unicorn", "a unicorn"),
        ("hourglass", "an hourglass"),
        ("red shoes", "red shoes"),
        ("bread", "bread"),
        ("bus", "a bus"),
        ("x ray", "an x ray"),
        ("bowl of noodles", "a bowl of noodles"),
        ("glasses", "glasses"),
        ("earth", "the earth"),
        ("cat with tears of joy", "a cat with tears of joy"),
    ],
)
def test_articles(name: str, expected: str) -> None:
    assert captions.with_article(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("red apple", "red apples"),
        ("fox", "foxes"),
        ("lady", "ladies"),
        ("mouse", "mice"),
        ("fireman", "firemen"),
        ("sheep", "sheep"),
        ("key", "keys"),
    ],
)
def test_plurals(name: str, expected: str) -> None:
    assert captions.plural(name) == expected


@pytest.mark.parametrize("noun", ["berry", "fox", "mouse", "knife", "apple", "church"])
def test_singular_undoes_plural(noun: str) -> None:
    assert singular(captions.plural(noun)) == noun


@pytest.mark.parametrize("name", ["bread", "glasses", "bowl of soup", "shoes", "water"])
def test_masses_and_plurals_are_not_counted(name: str) -> None:
    assert not captions.countable(name)


def test_head_noun_stops_at_links() -> None:
    assert head_noun("bowl of noodles") == "bowl"
    assert head_noun("birthday cake") == "cake"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a {n}, 3d", "an owl, 3d on grass"),
        ("a sketch of {a}", "a sketch of an owl on grass"),
        ("a glowing {n}", "a glowing owl on grass"),
    ],
)
def test_templates_mend_articles(template: str, expected: str) -> None:
    assert captions.fill(template, "owl", tail="on grass") == expected


def test_templates_drop_articles_before_plurals() -> None:
    assert captions.fill("a glowing {n}", "shoes") == "glowing shoes"


def test_every_source_is_open_and_credited() -> None:
    found = all_sources()
    assert len({row.name for row in found}) == len(found)
    for row in found:
        assert row.licence in ALLOWED_LICENCES
        assert row.attribution in attribution()
        assert len(row.sha256) == 64 or row.manager == "apt"
    with pytest.raises(ValueError, match="not allowed"):
        Source("x", "x", "1", "CC-BY-SA-4.0", "x", "emoji")


def test_iconify_licence_must_agree_with_the_table(tmp_path) -> None:
    from gouache.errors import TrainingError

    icons = '{"icons": {"cat": {"body": "<path/>"}, "flag-fr": {"body": "<path/>"}}, "width": 8}'
    (tmp_path / "icons.json").write_text(icons)
    (tmp_path / "info.json").write_text('{"license": {"spdx": "MIT"}}')
    emoji = EmojiNames({}, {})
    found = candidates(source("set", "icon"), tmp_path, LEXICON, emoji)
    assert [row.name for row in found] == ["cat"]
    assert 'viewBox="0 0 8 16"' in found[0].svg
    (tmp_path / "info.json").write_text('{"license": {"spdx": "GPL-3.0"}}')
    with pytest.raises(TrainingError, match="GPL"):
        candidates(source("set", "icon"), tmp_path, LEXICON, emoji)
