"""The sixty prompts: which they are, what real pictures of them look like, and how marks count."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from gouache.errors import TrainingError
from gouache.styles.filters import STYLES
from gouache_training.colors import COLOR_NAMES, color_indices
from gouache_training.evaluate import examine, random_pictures
from gouache_training.exam import QUESTIONS, real_pictures, rows_by_name
from gouache_training.grounds import SCENES
from gouache_training.marks import RefereeExaminer, table_text
from gouache_training.pack import Entry, PictureSet
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


def test_pictures_are_chosen_among_those_that_are_given() -> None:
    among = {name: rows[:1] for name, rows in rows_by_name(asked()).items()}  # the grey ones
    image, _ = real_pictures(asked(), 0, SIZE, among)
    plain = numbers_of("objects") + numbers_of("animals")
    assert all(image[k, :, 32, 32].std() < 1e-3 for k in plain)
    green = {name: rows[1:] for name, rows in rows_by_name(asked()).items()}
    image, _ = real_pictures(asked(), 0, SIZE, green)
    assert all(image[k, :, 32, 32].std() > 0.1 for k in plain)


def test_loose_pictures_vary_in_place_size_and_ground() -> None:
    tight = [real_pictures(asked(), seed, SIZE)[0] for seed in range(2)]
    loose = [real_pictures(asked(), seed, SIZE, loose=True)[0] for seed in range(6)]
    plain = numbers_of("animals")
    assert all((t[plain, :, 0, 0] > 0.95).all() for t in tight)
    assert any((one[plain, :, 0, 0] < 0.9).any() for one in loose)
    assert not torch.equal(loose[0], loose[1])
    assert all(one.min() >= 0 and one.max() <= 1 for one in loose)


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
        RefereeExaminer(TinyPerceptor(seed=8)),
        QUESTIONS,
        generator,
        TinyPerceptor(),
        ["random"],
        1,
        tmp_path,
        real=real_pictures(asked(), 0, 32)[0],
        start_tries=1,
        start_steps=0,
        **settings,
    )
    assert list(tables) == ["real pictures", "random codes", "painted, start random"]
    for row in tables.values():
        assert row["all"].total == 60
        parts = [score.first for group, score in row.items() if group != "all"]
        assert row["all"].first == sum(parts)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet-random-0.png"]
    assert table_text(tables).count("\n") == 4
