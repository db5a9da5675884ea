"""Composing: reproducible, in range, and true to its captions."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache.styles.filters import STYLES, stylize
from gouache_training import captions as phrases
from gouache_training.colors import COLOR_NAMES, COLOR_RGB, color_indices
from gouache_training.compose import Composer, Shares
from gouache_training.grounds import choose_grounds, paint_grounds
from gouache_training.layouts import COUNT, ONE, PAIR, RELATIONS, draw_layout
from gouache_training.pack import PictureSet
from gouache_training.plain import plain
from gouache_training.report import report, sheet
from training.dataset_samples import LEXICON, pictures

SIZE = 32
PLAIN = Shares(pair=0, count=0, style=0, hue=0, tint=0, shape=0)
WORDS = re.compile(r"\b(" + "|".join([*COLOR_NAMES, "grey"]) + r")\b")


def composer(seed: int = 0, shares: Shares | None = None) -> Composer:
    return Composer(pictures(), np.random.default_rng(seed), shares)


def in_range(values: Tensor, low: float = 0, high: float = 1) -> bool:
    return bool((values >= low).all() and (values <= high).all())


def only(*names: str) -> PictureSet:
    """The sample with nothing but the named pictures."""
    found = pictures()
    chosen = [i for i, row in enumerate(found.entries) if row.name in names]
    rows = [dataclasses.replace(found.entries[i], split="train") for i in chosen]
    return dataclasses.replace(found, pixels=np.array(found.pixels[chosen]), entries=rows)


def test_same_seed_same_batch() -> None:
    one, two, other = (composer(seed).batch(24, SIZE) for seed in (1, 1, 2))
    torch.testing.assert_close(one.image, two.image, rtol=0, atol=0)
    assert one.captions == two.captions
    for name in ("concepts", "colors", "styles"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert one.captions != other.captions


def test_a_torch_generator_alone_resumes_a_run() -> None:
    rng = torch.Generator().manual_seed(3)
    first = Composer(pictures(), rng)
    first.batch(8, SIZE)
    state = rng.get_state()
    expected = first.batch(8, SIZE)
    later = torch.Generator()
    later.set_state(state)
    assert Composer(pictures(), later).batch(8, SIZE).captions == expected.captions


def test_shapes_and_ranges() -> None:
    batch = composer().batch(64, SIZE)
    assert batch.image.shape == (64, 3, SIZE, SIZE)
    assert batch.image.dtype == torch.float32
    assert in_range(batch.image)
    assert len(batch.captions) == 64
    assert all(text == " ".join(text.split()) and text for text in batch.captions)
    assert all("{" not in text for text in batch.captions)
    limits = {"concepts": len(pictures().concepts), "colors": 11, "styles": len(STYLES)}
    for name, limit in limits.items():
        values = getattr(batch, name)
        assert values.dtype == torch.long
        assert values.shape == (64,)
        assert in_range(values, -1, limit - 1)


def test_recoloured_things_are_called_by_their_new_color() -> None:
    shares = dataclasses.replace(PLAIN, hue=0.5, tint=0.5)
    box = Composer(only("red box"), np.random.default_rng(0), shares)
    batch = box.batch(200, SIZE)
    said = 0
    for number, caption in enumerate(batch.captions):
        thing = caption.split("box")[0]
        found = WORDS.findall(thing)
        if found:
            color = found[-1].replace("grey", "gray")
            assert COLOR_NAMES.index(color) == batch.colors[number]
            said += 1
    assert said > 100
    assert len(set(batch.colors.tolist())) > 6


def test_unchanged_things_keep_their_color_word() -> None:
    batch = Composer(only("red box"), np.random.default_rng(0), PLAIN).batch(40, SIZE)
    assert all("red box" in caption for caption in batch.captions)
    assert set(batch.colors.tolist()) == {COLOR_NAMES.index("red")}


def test_icons_of_one_color_take_the_color_they_are_given() -> None:
    rows = only("cat")
    batch = Composer(rows, np.random.default_rng(0), PLAIN).batch(100, SIZE)
    assert set(batch.colors.tolist()) == set(range(11))
    for color, caption in zip(batch.colors.tolist(), batch.captions, strict=True):
        found = WORDS.findall(caption.split("cat")[0])
        assert not found or found[-1].replace("grey", "gray") == COLOR_NAMES[color]


def test_things_stand_out_from_their_ground() -> None:
    batch = Composer(only("cat"), np.random.default_rng(0), PLAIN).batch(200, SIZE)
    spread = batch.image.flatten(2).std(-1).amax(1)
    assert spread.min() > 0.04


def centre(image: Tensor, color: str) -> tuple[float, float]:
    """Mean (x, y) of the pixels of a colour."""
    index = color_indices(image.permute(1, 2, 0).numpy())
    rows, columns = np.nonzero(index == COLOR_NAMES.index(color))
    return float(columns.mean()), float(rows.mean())


def test_relations_are_where_the_caption_says() -> None:
    shares = dataclasses.replace(PLAIN, pair=1)
    rng = np.random.default_rng(0)
    batch = Composer(only("red box", "green ball"), rng, shares).batch(500, SIZE)
    sides = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}
    sides |= {"under": (1, -1), "over": (1, 1), "on top of": (1, 1)}
    checked = set()
    for image, caption in zip(batch.image, batch.captions, strict=True):
        for words, (axis, sign) in sides.items():
            match = re.search(rf"(red|green) \w+ (to the )?{words} a (red|green)", caption)
            if match and match[1] != match[3] and "background" not in caption:
                ground = image[:, [0, 0, -1, -1], [0, -1, 0, -1]].T.numpy()
                if {"red", "green"} & {COLOR_NAMES[i] for i in color_indices(ground)}:
                    continue  # the ground would count as the thing
                one, two = centre(image, match[1])[axis], centre(image, match[3])[axis]
                assert sign * (two - one) > 3, caption
                checked.add(words)
    assert checked >= {"left of", "right of", "above", "below"}
    assert set(batch.concepts.tolist()) == {-1}


def test_counts_are_counted() -> None:
    layout = draw_layout(200, 0.0, 1.0, np.random.default_rng(0))
    sprites = np.bincount(layout.owner)
    np.testing.assert_array_equal(sprites, layout.detail + 2)
    assert (layout.kind == COUNT).all()
    batch = composer(0, dataclasses.replace(PLAIN, count=1)).batch(40, SIZE)
    assert all(any(number in text for number in phrases.NUMBERS) for text in batch.captions)


def test_layout_numbers_things_by_picture() -> None:
    layout = draw_layout(300, 0.3, 0.3, np.random.default_rng(0))
    assert set(layout.kind.tolist()) == {ONE, PAIR, COUNT}
    np.testing.assert_array_equal(layout.owner_of_thing[layout.thing], layout.owner)
    assert (np.diff(layout.owner) >= 0).all()
    assert layout.thing.max() == len(layout.owner_of_thing) - 1
    reach = np.abs(layout.center[layout.kind[layout.owner] == ONE]).max()
    assert reach < 0.55
    assert all(0 <= row < len(RELATIONS) for row in layout.detail[layout.kind == PAIR])


def test_grounds_differ_from_things() -> None:
    rng = np.random.default_rng(0)
    thing = np.tile(COLOR_RGB[:, None], (30, 1, 1)).astype(np.float32)
    grounds = choose_grounds(thing, rng)
    away = np.sqrt(((grounds.mean() - thing[:, 0]) ** 2).sum(1))
    assert (away > 0.25).mean() > 0.99
    image = paint_grounds(grounds, SIZE)
    assert image.shape == (330, 3, SIZE, SIZE)
    assert in_range(image)


def test_named_grounds_have_their_color() -> None:
    thing = np.full((300, 1, 3), 0.5, np.float32)
    grounds = choose_grounds(thing, np.random.default_rng(1), scenes=False)
    named = grounds.color >= 0
    found = color_indices(grounds.upper[named, 0])
    assert (found == grounds.color[named]).mean() > 0.85


@pytest.mark.parametrize("style", range(len(STYLES)), ids=[style.name for style in STYLES])
def test_styles_keep_shape_and_range_and_change_the_picture(style: int) -> None:
    image = plain(pictures(), [0, 5], SIZE)
    alpha = (image.amin(1, keepdim=True) < 0.9).float()
    done = stylize(image, alpha, style, np.random.default_rng(0))
    assert done.shape == image.shape
    assert in_range(done)
    assert (done - image).abs().mean() > 0.005
    assert done.flatten(2).std(-1).amax(1).min() > 0.02  # the thing is still there
    for template in STYLES[style].templates:
        assert "{a}" in template or "{n}" in template
    assert any("{a}" in template for template in STYLES[style].templates)


@pytest.mark.parametrize("style", range(len(STYLES)), ids=[style.name for style in STYLES])
def test_the_smallest_pictures_have_styles_too(style: int) -> None:
    """There are more strokes of a brush than pixels."""
    image, alpha = torch.rand(8, 3, 16, 16), torch.ones(8, 1, 16, 16)
    assert stylize(image, alpha, style, np.random.default_rng(0)).shape == image.shape


def test_styled_captions_name_the_style() -> None:
    batch = composer(0, dataclasses.replace(PLAIN, style=1)).batch(60, SIZE)
    for style, color, caption in zip(batch.styles, batch.colors, batch.captions, strict=True):
        templates = STYLES[int(style)].templates
        marks = [re.sub(r"^an? |\{.\}", "", template).strip(" ,") for template in templates]
        assert any(mark in caption for mark in marks), caption
        if not STYLES[int(style)].keeps_color:
            assert color == -1
            assert not WORDS.search(caption.replace("black and white", "").replace("blackb", ""))


def test_plain_is_centred_on_white() -> None:
    image = plain(pictures(), [0, len(pictures()) - 1], SIZE)
    corners = image[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() == 1
    assert image[1, :, SIZE // 2, SIZE // 2].max() < 0.1  # icons are black
    assert torch.equal(composer().plain([0], SIZE), image[:1])


def test_splits_feed_their_own_pictures() -> None:
    found = pictures()
    rows = [
        dataclasses.replace(row, split="held_picture" if "blue" in row.name else "train")
        for row in found.entries
    ]
    parted = dataclasses.replace(found, entries=rows)
    for split, blue in (("train", False), ("held_picture", True)):
        batch = Composer(parted, np.random.default_rng(0), PLAIN).batch(60, SIZE, split)
        assert ({COLOR_NAMES.index("blue")} == set(batch.colors.tolist())) is blue
        if not blue:
            shown = [text for text in batch.captions if re.search(r"blue (box|ball|apple)", text)]
            assert not shown


def test_bad_requests_are_errors() -> None:
    with pytest.raises(TrainingError, match="split"):
        composer().batch(4, SIZE, "test")
    with pytest.raises(TrainingError, match="no pictures"):
        composer().batch(4, SIZE, "held_picture" if not has("held_picture") else "held_concept")
    with pytest.raises(TrainingError, match="expected at least"):
        composer().batch(0, SIZE)


def has(split: str) -> bool:
    return len(pictures().indices(split)) > 0


def test_report_and_sheet(tmp_path) -> None:
    figures = report(pictures(), tmp_path, size=SIZE)
    assert figures["pictures"] == len(pictures())
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.json", "sheet.png"}
    assert (
        "| set0 | MIT |" in (tmp_path / "report.md").read_text()
        or "set0" in (tmp_path / "report.md").read_text()
    )
    assert sheet(torch.rand(3, 3, 8, 8), ["a", "b", "c d"], columns=2, scale=1).size == (32, 96)


def test_lexicon_reads_wordnet_files(tmp_path) -> None:
    from gouache_training.lexicon import Lexicon

    licence = "  1 This is a licence line\n"
    (tmp_path / "data.noun").write_text(
        licence
        + "00000010 05 n 02 dog 0 domestic_dog 0 001 @ 00000020 n 0000 | barks\n"
        + "00000020 05 n 01 animal 0 000 | lives\n"
    )
    (tmp_path / "index.noun").write_text(
        licence
        + "dog n 1 1 @ 1 1 00000010  \n"
        + "domestic_dog n 1 1 @ 1 0 00000010  \n"
        + "animal n 1 0 1 1 00000020  \n"
    )
    for name in ("index.adj", "index.verb"):
        (tmp_path / name).write_text(licence + "happy a 1 0 1 0 00000030  \n")
    read = Lexicon.load(tmp_path)
    assert read.category("happy dogs") == "animal"
    assert read.synonyms("dog") == ("domestic dog",)
    assert read.wider("dog") == ("animal",)
    assert read.knows("happy")
    assert not read.knows("qwx")
    (tmp_path / "data.noun").unlink()
    with pytest.raises(TrainingError, match=r"data\.noun"):
        Lexicon.load(tmp_path)
    assert LEXICON.sense("texas") is None
