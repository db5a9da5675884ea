"""Masks and edits on the shipped models, a few steps each, and the rules that they keep."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gouache.apps.cli.main import run
from gouache.editing import EditConfig, edit, find_mask
from gouache.editing.composite import composite
from gouache.editing.editor import edit_of, start
from gouache.editing.editor import make_plan as plan_of
from gouache.editing.mask import Mask, given_mask, read_source
from gouache.editing.shapes import feathered, grown, otsu_threshold, without_specks
from gouache.engine import Session
from gouache.errors import ConfigError, ImageError, PromptError
from gouache.settings.config import make_config

SCENES = Path(__file__).parents[2] / "src" / "gouache_bench" / "scenes"
SCENE = SCENES / "01.png"
FAST = {"steps": 2, "num_cutouts": 4, "size": (48, 32)}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def apple() -> Mask:
    return find_mask(SCENE, "a red apple")


def truth(side: str) -> np.ndarray:
    return np.asarray(Image.open(SCENES / f"01-{side}.png").convert("L")) > 127


def test_a_phrase_is_found_where_it_is(apple: Mask) -> None:
    true, found = truth("left"), apple.selected.numpy()
    assert apple.size == (192, 128)
    assert (found & true).sum() / (found | true).sum() > 0.7
    assert found[truth("right")].mean() < 0.1


def test_a_phrase_that_is_nowhere_is_told_with_its_score() -> None:
    with pytest.raises(ImageError, match=r"'an elephant' is not seen .*score 0\.0"):
        find_mask(SCENE, "an elephant")
    assert find_mask(SCENE, "an elephant", min_score=0.0).seen < 0.01


def test_inverted_and_grown_masks(apple: Mask) -> None:
    other = find_mask(SCENE, "a red apple", invert=True)
    assert torch.equal(other.selected, ~apple.selected)
    wider = find_mask(SCENE, "a red apple", grow=3)
    assert torch.equal(wider.selected, grown(apple.selected, 3))
    assert wider.share > apple.share


def test_the_papers_threshold_is_mean_less_deviations() -> None:
    mask = find_mask(SCENE, "a red apple", threshold="paper", deviations=-1.0)
    scores = mask.scores
    assert mask.threshold == pytest.approx(float(scores.mean() + scores.std()), abs=0.02)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "LA"])
def test_pictures_of_every_mode(mode: str) -> None:
    picture = Image.open(SCENE).convert("RGB").convert(mode)
    assert read_source(picture).mode == "RGB"
    assert find_mask(picture, "a red apple", min_score=0.0).size == picture.size


def test_exif_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(SCENE).convert("RGB").save(tmp_path / "turned.jpg", exif=exif)
    assert read_source(tmp_path / "turned.jpg").size == (128, 192)


@pytest.mark.parametrize(("value", "told"), [(0, "is empty"), (255, "covers the whole picture")])
def test_masks_of_nothing_and_of_everything(value: int, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        given_mask(Image.new("L", (192, 128), value), (192, 128), EditConfig())


def test_masks_of_another_size_are_resized_and_of_another_aspect_refused() -> None:
    small = Image.new("L", (96, 64))
    small.paste(255, (0, 0, 48, 64))
    mask = given_mask(small, (192, 128), EditConfig())
    assert mask.size == (192, 128)
    assert abs(mask.share - 0.5) < 0.02
    with pytest.raises(ImageError, match="same aspect"):
        given_mask(small.resize((64, 96)), (192, 128), EditConfig())


@pytest.mark.parametrize("feather", [0, 4, 9])
def test_a_composite_is_the_source_outside_the_mask_byte_for_byte(
    apple: Mask, feather: int
) -> None:
    source = read_source(SCENE)
    mask = find_mask(SCENE, "a red apple", feather=feather)
    out = np.asarray(composite(source, Image.new("RGB", (60, 40), (0, 255, 0)), mask))
    share = feathered(mask.selected, feather).numpy()
    assert (out[share == 0] == np.asarray(source)[share == 0]).all()
    assert (out[share == 1] == (0, 255, 0)).all()


@pytest.mark.parametrize("latent", ["quantized", "continuous", "codebook-sampling", "multiscale"])
def test_cells_outside_the_mask_keep_the_sources_latent(latent: str) -> None:
    config = make_config("pocket", prompt="a green apple", latent=latent, **FAST)
    plan = plan_of(SCENE, EditConfig(), replace="a red apple")
    session = start(plan, config, sized=True)
    before = session.latent()
    for _ in session:
        pass
    after, cells = session.latent(), edit_of(session).cells
    assert cells is not None
    assert bool(cells.any())
    assert not bool(cells.all())
    outside = (~cells).expand_as(before)
    torch.testing.assert_close(after[outside], before[outside], rtol=0, atol=1e-6)
    assert not torch.equal(after[~outside], before[~outside])


def test_tries_begin_differently_inside_the_mask_only() -> None:
    plan = plan_of(SCENE, EditConfig(), replace="a red apple")

    def begun(seed: int, disturb: float) -> Session:
        values = {"prompt": "a cat", "seed": seed, "init_disturb": disturb, **FAST}
        return start(plan, make_config("pocket", latent="quantized", **values), sized=True)

    plain, one, other, again = (begun(*how) for how in ((0, 0.0), (0, 0.8), (1, 0.8), (1, 0.8)))
    cells = edit_of(plain).cells
    assert cells is not None
    inside = cells.expand_as(plain.latent())
    for session in (one, other):
        assert torch.equal(session.latent()[~inside], plain.latent()[~inside])
        assert torch.equal(edit_of(session).latent, edit_of(plain).latent)
    assert torch.equal(other.latent(), again.latent())
    apart = (one.latent() - other.latent())[inside].square().mean()
    assert apart > 0.5 * plain.latent()[inside].var()
    list(other)
    torch.testing.assert_close(other.latent()[~inside], plain.latent()[~inside], rtol=0, atol=1e-6)


def test_whole_edits_and_relative_ones() -> None:
    plain = edit(SCENE, "a green apple", **FAST)
    relative = edit(SCENE, "a green apple", old="a red apple", **FAST)
    assert plain.mask is None
    assert plain.image.size == (48, 32)
    assert "structure" in plain.losses
    assert "direction" not in plain.losses
    assert "direction" in relative.losses
    assert "prompt/0" not in relative.losses


def test_the_same_seed_gives_the_same_edit() -> None:
    one, two = (edit(SCENE, "a cat", replace="a banana", **FAST) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="not both"):
        plan_of(SCENE, EditConfig(), replace="a", old="b")
    with pytest.raises(ConfigError, match="needs a mask"):
        plan_of(SCENE, EditConfig(composite=True))
    with pytest.raises(PromptError, match="empty"):
        find_mask(SCENE, "  ")
    with pytest.raises(ImageError, match="at least 16"):
        find_mask(Image.new("RGB", (8, 40)), "a cat")


def test_specks_and_holes_go() -> None:
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[2:12, 2:12] = True
    mask[5, 5] = False
    mask[18, 18] = True
    clean = torch.zeros_like(mask)
    clean[2:12, 2:12] = True
    assert torch.equal(without_specks(mask, 0.01), clean)


def test_otsu_parts_two_heaps() -> None:
    grey = torch.cat([torch.full((30,), 0.1), torch.full((10,), 0.9)]).view(8, 5)
    assert otsu_threshold(grey) == pytest.approx(0.5)


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask, out = tmp_path / "mask.png", tmp_path / "out.png"
    seen = tmp_path / "seen.png"
    code = run(
        ["mask", str(SCENE), "a red apple", "-o", str(mask), "--overlay", str(seen), "--json"]
    )
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["score"] > 0.05
    assert 0.1 < told["share"] < 0.3
    assert Image.open(mask).mode == "L"
    assert Image.open(seen).size == (192, 128)
    few = ["--steps", "2", "--num-cutouts", "4", "--size", "48x32", "--json"]
    asked = ["edit", str(SCENE), "--mask", str(mask), "--with", "a cat", "--composite"]
    assert run([*asked, "-o", str(out), *few]) == 0
    assert Image.open(out).size == (192, 128)
    capsys.readouterr()
    assert run(["replay", str(out)]) == 2
    told = capsys.readouterr().err
    assert "from the source 01.png (sha256" in told
    assert "name it: --source PATH" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mask", str(SCENE), ""], "phrase is empty"),
        (["mask", "nowhere.png", "a cat"], "nowhere.png"),
        (["edit", str(SCENE)], "got 0 prompts"),
        (["edit", str(SCENE), "a", "--with", "b"], "got 2 prompts"),
        (["edit", str(SCENE), "a", "--composite"], "needs a mask"),
        (["edit", str(SCENE), "a", "--overlay", "x.png"], "shows a mask"),
        (["edit", str(SCENE), "a", "--mask", "nowhere.png"], "nowhere.png"),
        (["edit", str(SCENE), "a", "--strength", "-1"], "strength"),
    ],
)
def test_mistakes_get_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_an_edit_has_one_prompt() -> None:
    with pytest.raises(ConfigError, match="an edit has one prompt"):
        edit(SCENE, "", prompts=["a red apple", "a green apple"], **FAST)
