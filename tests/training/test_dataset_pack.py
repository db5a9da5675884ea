"""Drawing, splitting and packing."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.errors import TrainingError
from gouache_training import dataset
from gouache_training.colors import COLOR_NAMES, dominant_color
from gouache_training.dataset import build_from, name_bank
from gouache_training.pack import SPLITS, PictureSet, write_pack
from gouache_training.render import fit, is_near_duplicate, render_svg, thumbnail
from training.dataset_samples import LEXICON, candidate, pictures, sample, source, svg


def test_fit_crops_centres_and_premultiplies() -> None:
    image = Image.new("RGBA", (100, 60))
    image.paste((255, 0, 0, 128), (10, 20, 50, 40))  # 40 wide, 20 high
    square = fit(image, 32)
    assert square is not None
    assert square.shape == (32, 32, 4)
    rows, columns = np.nonzero(square[..., 3] > 60)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 23, 0, 31)
    assert (square[..., :3] <= square[..., 3:]).all()
    assert square[16, 16, 0] == pytest.approx(128, abs=2)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 8, 8), (0, 10, 100, 14)])
def test_fit_refuses_nothing_specks_and_strips(box: tuple[int, int, int, int]) -> None:
    image = Image.new("RGBA", (100, 100))
    image.paste((255, 0, 0, 255), box)
    assert fit(image, 32, sparse=box[1] == 10) is None


def test_fit_keeps_hidden_colors_hidden_and_color_below_alpha() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 4)).astype(np.uint8)
    noise[..., 1] = np.where(noise[..., 3] > 127, 0, 255)  # green only where nothing is seen
    noise[..., 3] = np.where(noise[..., 3] > 127, 255, 0)
    square = fit(Image.fromarray(noise, "RGBA"), 32)
    assert square is not None
    assert square[..., 1].max() <= 2
    assert (square[..., :3] <= square[..., 3:]).all()


def test_svg_without_size_is_drawn() -> None:
    plain = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="500" height="500"/></svg>'
    assert fit(render_svg(plain, 64), 32) is not None


def test_duplicates_are_told_from_recoloured_copies() -> None:
    def thumb(drawing: str):
        square = fit(render_svg(drawing, 64), 32)
        assert square is not None
        return thumbnail(square)

    red = thumb(svg("box", "#f00"))
    assert is_near_duplicate(thumb(svg("box", "#fa0505")), [red])
    assert not is_near_duplicate(thumb(svg("box", "#00f")), [red])
    assert not is_near_duplicate(thumb(svg("cake", "#f00")), [red])
    assert not is_near_duplicate(red, [])


def test_duplicates_are_packed_once(tmp_path: Path) -> None:
    one, two = source("one", "emoji"), source("two", "emoji")
    found = [candidate("box", svg("box", "#f00"), origin) for origin in (one, two)]
    assert len(build_from(found, LEXICON, tmp_path / "p", side=32, processes=1)) == 1


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_from(sample(), LEXICON, tmp_path / name, side=32, processes=1)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_pack_round_trip() -> None:
    found = pictures()
    assert found.pixels.shape == (len(found), 4, 32, 32)
    assert found.side == 32
    by_name = {row.name: number for number, row in enumerate(found.entries)}
    box = np.asarray(found.pixels[by_name["red box"]]).astype(int)
    assert abs(box[:, 16, 16] - [220, 30, 30, 255]).max() < 12  # lossy, but not far
    assert (box[:3] <= box[3:]).all()
    kinds = [row.kind for row in found.entries]
    icon = np.asarray(found.pixels[kinds.index("mono")])
    assert (icon == icon[3]).all()  # white, premultiplied
    assert set(np.unique(icon)) <= {0, 51, 102, 153, 204, 255}


def test_every_picture_comes_back_in_its_own_place() -> None:
    found = pictures()
    flat = np.asarray(found.pixels).transpose(0, 2, 3, 1).reshape(len(found), -1, 4) / 255
    seen = dominant_color(flat)
    for row, color in zip(found.entries, seen, strict=True):
        assert color == (row.color if row.kind == "emoji" else COLOR_NAMES.index("white"))


def test_half_transparent_pictures_stay_premultiplied(tmp_path: Path) -> None:
    pixels = np.zeros((1, 16, 16, 4), np.uint8)
    pixels[:, 4:12, 4:12] = (100, 20, 20, 128)
    write_pack(tmp_path / "p", pixels, pictures().entries[:1], ["thing"], [])
    back = np.asarray(PictureSet.load(tmp_path / "p", cache=False).pixels)[0].astype(int)
    assert abs(back[:, 8, 8] - [100, 20, 20, 128]).max() < 40  # few levels of alpha are kept
    assert (back[:3] <= back[3:]).all()
    assert back[:3, 8, 8].max() < 150


def test_index_says_color_kind_and_credit() -> None:
    found = pictures()
    for row in found.entries:
        assert row.kind in ("emoji", "mono")
        color = COLOR_NAMES[row.color] if row.color >= 0 else None
        assert color == (row.name.split()[0] if row.kind == "emoji" else None)
        assert row.category in ("artifact", "animal", "food")
    assert {row["name"] for row in found.credits} >= {"emojibase", "wordnet"}


def test_mono_pictures_come_last() -> None:
    kinds = [row.kind == "mono" for row in pictures().entries]
    assert kinds == sorted(kinds)


def many() -> list:
    """A hundred concepts of four pictures: enough to hold some out."""
    found = []
    for letter in range(100):
        word = "thing" + "".join(chr(97 + int(digit)) for digit in f"{letter:02d}")
        for number in range(5):
            origin = source(f"set{number}", "emoji")
            drawing = svg("box", f"#{40 * number:02x}{2 * letter:02x}00", 8 * number)
            found.append(candidate(word, drawing, origin))
    return found


def test_splits_are_disjoint_and_keep_their_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_HELD_CONCEPTS", 0.2)
    monkeypatch.setattr(dataset, "_HELD_PICTURES", 0.3)
    found = build_from(many(), LEXICON, tmp_path / "p", side=16, processes=1)
    parts = [set(found.indices(split).tolist()) for split in SPLITS]
    assert all(parts)
    assert sum(map(len, parts)) == len(found) == len(set.union(*parts))
    concepts = [{found.entries[i].concept for i in part} for part in parts]
    assert not concepts[2] & (concepts[0] | concepts[1])
    teaching = defaultdict(int)
    for i in parts[0]:
        teaching[found.entries[i].concept] += 1
    assert min(teaching[concept] for concept in concepts[1]) >= 3


def test_basics_are_never_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_HELD_CONCEPTS", 1.0)
    found = build_from(sample(), LEXICON, tmp_path / "p", side=16, processes=1)
    held = {found.entries[i].name.split()[-1] for i in found.indices("held_concept")}
    assert not held & {"apple", "cat", "dog", "car"}


def test_name_bank_has_one_colourless_caption_per_concept() -> None:
    names, concepts = name_bank(pictures(), least_weight=0.0)
    assert len(names) == len(concepts) == len(set(concepts.tolist())) == len(set(names))
    assert "apple" in names
    assert concepts.tolist() == sorted(concepts.tolist())
    assert name_bank(pictures(), least_weight=1e9)[0] == []


def test_name_bank_drops_colors_from_names_outside_the_dictionary() -> None:
    found = pictures()
    row = dataclasses.replace(found.entries[0], name="red gizmo", concept=0, split="train")
    odd = dataclasses.replace(found, pixels=found.pixels[:1], entries=[row], concepts=["gizmo"])
    assert name_bank(odd, least_weight=0)[0] == ["gizmo"]


def test_an_average_concept_weighs_one() -> None:
    found = pictures()
    total = sum(row.weight for row in found.entries)
    assert total == pytest.approx(len(found.concepts), rel=1e-3)


def test_decoded_pictures_are_kept_and_reused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    first = build_from(sample()[:3], LEXICON, path, side=32, processes=1)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    again = PictureSet.load(path)
    assert isinstance(again.pixels, np.memmap)
    fresh = PictureSet.load(path, cache=False)
    np.testing.assert_array_equal(first.pixels, fresh.pixels)
    assert again.entries == fresh.entries


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    build_from(sample()[:2], LEXICON, path, side=16, processes=1)
    whole = path.read_bytes()
    for name, data in {
        "cut": whole[:-5],
        "other": b"PK" + whole[2:],
        "header": whole[:30] + b"xxxx" + whole[34:],
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TrainingError):
            PictureSet.load(tmp_path / name)
    with pytest.raises(TrainingError, match="build the data set"):
        PictureSet.load(tmp_path / "missing")


def test_unknown_split_is_an_error() -> None:
    with pytest.raises(TrainingError, match="held_picture"):
        pictures().indices("test")


def test_too_large_a_pack_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "LARGEST_PACK", 100)
    with pytest.raises(TrainingError, match="at most 100"):
        build_from(sample()[:2], LEXICON, tmp_path / "p", side=16, processes=1)


def test_nothing_to_pack_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no picture"):
        build_from([], LEXICON, tmp_path / "p", side=16, processes=1)


def test_write_pack_leaves_no_scratch_files(tmp_path: Path) -> None:
    found = pictures()
    pixels = np.ascontiguousarray(found.pixels.transpose(0, 2, 3, 1))
    size = write_pack(tmp_path / "p", pixels, found.entries, found.concepts, [])
    assert size == (tmp_path / "p").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
