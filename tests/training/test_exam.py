"""The sixty prompts: which they are, what real pictures of them look like, and how marks count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache.training.colors import COLOR_NAMES, color_indices
from gouache.training.evaluate import examine, random_pictures, table_text, wilson
from gouache.training.exam import QUESTIONS, answers, real_pictures, top1
from gouache.training.grounds import SCENES
from gouache.training.pack import Entry, PictureSet
from gouache.training.styles import STYLES
from tiny import TinyGenerator, TinyPerceptor
from training.dataset_samples import pictures

SIZE = 64


def numbers_of(group: str) -> list[int]:
    return [i for i, question in enumerate(QUESTIONS) if question.group == group]


@cache
def asked(held: str = "") -> PictureSet:
    """Two discs under every name asked for: a grey train picture, and a yellow-green one.

    `held` is the split of the second one where it has one of its own.
    """
    names = sorted({q.name for q in QUESTIONS} | {q.second for q in QUESTIONS} - {""})
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    alpha = 255 * (x * x + y * y < 0.9)
    gray = np.stack([alpha * 0.5] * 3 + [alpha])
    green = np.stack([alpha * 0.6, alpha, alpha * 0, alpha])
    entries, pixels = [], []
    for concept, name in enumerate(names):
        for split, drawing in (("train", gray), (held or "train", green)):
            entries.append(Entry(name, "set0", "emoji", concept, 1.0, -1, split))
            pixels.append(drawing)
    return replace(pictures(), pixels=np.stack(pixels).astype(np.uint8), entries=entries)


def test_sixty_prompts_in_six_groups_of_ten() -> None:
    assert len(QUESTIONS) == 60
    assert set(Counter(question.group for question in QUESTIONS).values()) == {10}
    groups = list(dict.fromkeys(question.group for question in QUESTIONS))
    assert groups == ["objects", "colours", "animals", "scenes", "styles", "two"]
    assert len({question.prompt for question in QUESTIONS}) == 60


def test_prompts_are_plain_english_that_names_what_is_shown() -> None:
    for question in QUESTIONS:
        assert not re.search(r"[{}|]|  ", question.prompt)
        for part in (question.name, question.color, question.second, question.second_color):
            assert part in question.prompt
        assert question.scene in question.prompt
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", question.prompt)
    prompts = {question.prompt for question in QUESTIONS}
    assert {"an umbrella", "a red car", "an owl", "a castle at night"} <= prompts
    assert {"a red heart and a blue star", "a cup next to a book"} <= prompts


def test_colours_scenes_and_styles_are_known_ones() -> None:
    for question in QUESTIONS:
        for color in (question.color, question.second_color):
            assert color in ("", *COLOR_NAMES)
        scenes = [scene for scene in SCENES if question.scene in scene.words]
        assert bool(scenes) is bool(question.scene)
        assert question.style in ("", *(style.name for style in STYLES))
        assert bool(question.color) <= (question.group == "colours" or bool(question.second))
        assert bool(question.scene) is (question.group == "scenes")
        assert bool(question.style) is (question.group == "styles")
        assert bool(question.second) is (question.group == "two")
        assert question.above is (" above " in question.prompt)


def test_real_pictures_of_all_questions() -> None:
    image, held = real_pictures(asked(), 0, SIZE)
    assert image.shape == (60, 3, SIZE, SIZE)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert held == 0
    assert image.flatten(2).std(-1).amax(1).min() > 0.02  # all show something
    assert torch.equal(image, real_pictures(asked(), 0, SIZE)[0])
    assert not torch.equal(image, real_pictures(asked(), 1, SIZE)[0])


def test_held_out_pictures_come_first() -> None:
    image, held = real_pictures(asked("held_picture"), 0, SIZE)
    assert held == 60
    middle = image[numbers_of("objects"), :, SIZE // 2, SIZE // 2]
    torch.testing.assert_close(middle, torch.tensor([[0.6, 1.0, 0.0]] * 10), atol=0.02, rtol=0)


def test_coloured_things_have_their_color() -> None:
    image, _ = real_pictures(asked(), 0, SIZE)
    for number in numbers_of("colours"):
        middle = image[number, :, SIZE // 2, SIZE // 2].numpy()[None]
        found = COLOR_NAMES[int(color_indices(middle)[0])]
        # the discs are of middle lightness, which tints a little darker
        wanted = QUESTIONS[number].color
        assert found == wanted or (wanted, found) in {("white", "gray")}, QUESTIONS[number].prompt


def test_things_can_be_told_from_their_ground() -> None:
    image, _ = real_pictures(asked(), 0, SIZE)
    for number in [*numbers_of("objects"), *numbers_of("colours"), *numbers_of("animals")]:
        middle, corner = image[number, :, SIZE // 2, SIZE // 2], image[number, :, 0, 0]
        assert (middle - corner).abs().max() > 0.1, QUESTIONS[number].prompt


def test_scenes_are_behind_and_nothing_else_is() -> None:
    image, _ = real_pictures(asked(), 0, SIZE)
    for number, question in enumerate(QUESTIONS):
        ground = torch.cat([image[number, :, 0, :6], image[number, :, 0, -6:]], 1)
        if question.scene:
            scene = next(each for each in SCENES if question.scene in each.words)
            sky = torch.tensor(scene.sky[0]) / 255
            assert (ground.mean(1) - sky).abs().max() < 0.25, question.prompt
        elif question.color == "white":
            assert ground.mean() < 0.8, question.prompt
        elif not question.style:
            assert ground.min() > 0.9, question.prompt


def test_two_things_stand_where_the_prompt_says() -> None:
    image, _ = real_pictures(asked(), 0, SIZE)
    for number in numbers_of("two"):
        dark = image[number].amin(0) < 0.8
        rows, columns = dark.any(1), dark.any(0)
        # where there are two, side by side or one above the other, one direction has a gap
        tall, wide = int(rows.sum()), int(columns.sum())
        assert (tall > 1.5 * wide) is QUESTIONS[number].above, QUESTIONS[number].prompt
        assert (wide > 1.5 * tall) is not QUESTIONS[number].above, QUESTIONS[number].prompt


def test_colours_of_two_things_are_not_swapped() -> None:
    image, _ = real_pictures(asked(), 0, SIZE)
    prompts = [question.prompt for question in QUESTIONS]
    heart_and_star = image[prompts.index("a red heart and a blue star")]
    left, right = heart_and_star[:, 32, 16], heart_and_star[:, 32, 48]
    assert left.argmax() == 0
    assert right.argmax() == 2


def test_what_the_data_lacks_is_said() -> None:
    with pytest.raises(TrainingError, match="no picture of 'key'"):
        real_pictures(pictures(), 0, SIZE)


class Knowing:
    """A referee that reads a question's number from the red of the picture's first pixel."""

    name, fingerprint, image_size, embed_dim, bank = "knowing", "", 8, 60, None

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        assert list(texts) == [question.prompt for question in QUESTIONS]
        return torch.eye(60)

    def embed_image(self, image: Tensor) -> Tensor:
        assert image.shape[1:] == (3, 8, 8)
        number = (image[:, 0, 0, 0] * 100).round().long()
        return torch.nn.functional.one_hot(number, 60).float()


def test_answers_are_the_nearest_prompts() -> None:
    told = torch.tensor([3, 59, 0, 7])
    image = (told / 100).view(-1, 1, 1, 1).expand(-1, 3, 24, 24)
    assert torch.equal(answers(Knowing(), image), told)


def test_right_answers_are_counted_by_group() -> None:
    right = torch.arange(60)
    wrong = right.clone()
    wrong[numbers_of("animals")] = 0
    wrong[5] = 6
    counted = top1(torch.cat([right, wrong]))
    assert counted["all"] == (60 + 49, 120)
    assert counted["animals"] == (10, 20)
    assert counted["objects"] == (19, 20)
    assert counted["two"] == (20, 20)
    assert len(counted) == 7


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_the_literature(
    right: int, total: int, low: float, high: float
) -> None:
    assert wilson(right, total) == pytest.approx((low, high), abs=1e-4)
    mirrored = wilson(total - right, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-4)


def test_tables_have_a_row_per_kind_and_a_column_per_group() -> None:
    text = table_text(
        {"real": {"all": (20, 20), "two": (5, 10)}, "none": {"all": (0, 20), "two": (1, 10)}}
    )
    lines = text.splitlines()
    assert lines[0] == "| pictures | all | two |"
    assert lines[1] == "| --- | --- | --- |"
    assert lines[2] == "| real | 100% (84%-100%) | 50% (24%-76%) |"
    assert lines[3].startswith("| none | 0% (0%-16%) | 10% (")
    assert len(lines) == 4


def test_random_pictures_are_those_of_the_seed() -> None:
    image = random_pictures(TinyGenerator(), 0)
    assert image.shape == (60, 3, 16, 16)
    assert image.min() >= 0
    assert image.max() <= 1
    assert torch.equal(image, random_pictures(TinyGenerator(), 0))
    assert not torch.equal(image, random_pictures(TinyGenerator(), 1))


def test_an_examination_end_to_end(tmp_path: Path) -> None:
    generator = TinyGenerator()
    generator.native_size = 32
    settings = {"size": "16x16", "steps": 1, "num_cutouts": 1, "templates": False, "device": "cpu"}
    tables = examine(
        asked(),
        generator,
        TinyPerceptor(),
        TinyPerceptor(seed=8),
        ["random"],
        1,
        tmp_path,
        **settings,
    )
    assert list(tables) == ["real pictures", "random codes", "painted, start random"]
    for row in tables.values():
        right, total = row["all"]
        assert total == 60
        assert right == sum(part for group, (part, _) in row.items() if group != "all")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet-random-0.png"]
    assert table_text(tables).count("\n") == 4
