"""How perceptors are written in settings: one or several, with weights."""

from __future__ import annotations

from typing import Any

import pytest

from gouache.errors import ConfigError
from gouache.settings.config import PRESETS, PaintConfig, make_config, parse_perceptor, settings


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [
        ("pocket", "pocket", 1.0),
        ("pocket:0.5", "pocket", 0.5),
        ("pocket: 2 ", "pocket", 2.0),
        ("B:1e-3", "B", 0.001),
        ("google/siglip2-base-patch16-224", "google/siglip2-base-patch16-224", 1.0),
        ("open_clip:ViT-B-32/openai", "open_clip:ViT-B-32/openai", 1.0),
        ("open_clip:ViT-B-32/openai:0.25", "open_clip:ViT-B-32/openai", 0.25),
        ("open_clip:hf-hub:a/b", "open_clip:hf-hub:a/b", 1.0),
        (r"C:\models\clip.pt", r"C:\models\clip.pt", 1.0),
        (r"C:\models\clip.pt:3", r"C:\models\clip.pt", 3.0),
        ("a:nan", "a:nan", 1.0),
        ("a:inf", "a:inf", 1.0),
        ("a:1_0", "a:1_0", 1.0),
        ("a:", "a:", 1.0),
    ],
)
def test_the_weight_is_what_follows_the_last_colon(text: str, name: str, weight: float) -> None:
    assert parse_perceptor(text) == (name, weight)


@pytest.mark.parametrize("text", ["", " ", ":0.5", "a:0", "a:-1", "a:1e7"])
def test_what_is_no_perceptor_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        PaintConfig(perceptor=(text,))
    assert "\n" not in str(error.value)


def test_one_name_or_a_list() -> None:
    """Settings stored before there were several hold a plain text."""
    for stored in ("pocket", ["pocket"], ("pocket",)):
        assert PaintConfig.from_dict({"perceptor": stored}) == make_config(perceptor="pocket")
    several = PaintConfig.from_dict({"perceptor": ["pocket", "referee:0.5"]})
    assert several.guides == (("pocket", 1.0), ("referee", 0.5))
    assert PaintConfig.from_dict(several.to_dict()) == several


@pytest.mark.parametrize("wrong", [(), ("a", "b:2", "a:0.5"), ["a", 3], 3, None, {"a": 0.5}])
def test_wrong_lists_are_one_line(wrong: object) -> None:
    with pytest.raises(ConfigError) as error:
        make_config(perceptor=wrong)
    assert "\n" not in str(error.value)


AUTO: dict[str, list[Any]] = {
    "photo": [
        ["pocket", "photo"],
        ["photo", "pocket"],
        ["pocket:0.5", "photo:2"],
        ["photo:0.6", "pocket"],
        "photo",
        ["photo"],
        ["photo:3"],
        ["photo", "clip-vit-b-32"],
        ["pocket", "photo", "clip-vit-b-32"],
        ["pocket", "clip-vit-b-32:0.5", "photo:0.5"],
    ],
    "pocket": [
        "pocket",
        "pocket:0.5",
        ["pocket"],
        ("pocket",),
        ["pocket:2", "clip-vit-b-32"],
        ["pocket", "referee"],
    ],
    "paper": [
        "clip-vit-b-32",
        ["clip-vit-b-32:0.5", "pocket"],
        ["clip-vit-b-32", "pocket", "photo"],
        "open_clip:ViT-B-32/openai",
        "referee",
        "./photo.safetensors",
    ],
}


@pytest.mark.parametrize(
    ("preset", "perceptor"), [(preset, one) for preset, all_ in AUTO.items() for one in all_]
)
def test_the_preset_follows_the_perceptors(preset: str, perceptor: Any) -> None:
    assert make_config(perceptor=perceptor) == make_config(preset, perceptor=perceptor)
    changed = make_config(perceptor=perceptor, steps=7)
    assert changed == make_config(perceptor=perceptor).updated(steps=7)


def test_both_guide_by_default() -> None:
    config = make_config()
    assert config == make_config("photo") == PaintConfig() == PaintConfig.from_dict({})
    assert [name for name, _ in config.guides] == ["pocket", "photo"]


# What every picture of the one guide that there was at first was painted with.
POCKET: dict[str, Any] = {
    "perceptor": ("pocket",), "size": (128, 128), "scale": 1, "smooth": 0.0,
    "sharpen": 0.0, "levels": 0.0, "steps": (80,), "num_cutouts": 12,
    "whole_share": 0.75, "cut_pow": 0.6, "cut_min": 0.7, "cut_size": 0, "flip_probability": 0.5,
    "augment": ("flip", "affine", "perspective", "color", "erasing", "noise"),
    "affine_degrees": 12.0, "affine_translate": 0.08, "affine_shear": 5.0,
    "affine_probability": 0.8, "perspective_scale": 0.2, "perspective_probability": 0.5,
    "color_strength": 0.08, "color_probability": 0.7, "erase_scale": 0.2,
    "erase_probability": 0.2, "noise_strength": 0.06, "latent": "multiscale", "start": "prior",
    "start_tries": 6, "start_choice": 0, "start_judge": "off", "start_steps": 15,
    "start_scale": 0.5, "init_disturb": 0.0, "latent_rule": "decay",
    "latent_weight": 0.1, "latent_decay": 0.005, "latent_drop": 0.3, "latent_drop_every": 50,
    "latent_average": 0.0, "sampling_noise": "multinomial", "sampling_temperature": 1.0,
    "sampling_temperature_final": 0.2, "sampling_spread": 4.0, "optimizer": "Adam",
    "learning_rate": 0.2, "lr_schedule": "cosine", "lr_warmup": 5, "lr_final": 0.1,
    "clip_grad": 0.0, "combine": "loss", "contrast_weight": 0.5, "contrast_scale": 20.0,
    "templates": True, "tv_weight": 0.0, "prior_weight": 0.0, "losses": (),
    "layout": "off", "style_weight": 0.0, "style_share": 0.5,
}  # fmt: skip
OTHERWISE = {
    *("prompt", "prompts", "image_prompts", "noise_prompts", "init_image", "cross_image"),
    *("seed", "count", "generator", "device", "precision", "compile"),
}  # which say what is painted, and where


@pytest.mark.parametrize("given", [{"perceptor": "pocket"}, {"preset": "pocket"}])
def test_pocket_alone_paints_what_it_always_did(given: dict[str, Any]) -> None:
    config = make_config(**given)
    assert {item.name: item.get(config) for item in settings() if item.name in POCKET} == POCKET
    # A setting that is new belongs into the preset, with what it was before there was one.
    assert {item.name for item in settings()} - OTHERWISE == set(POCKET) == set(PRESETS["pocket"])


def test_published_ones_are_guided_by_one_if_nothing_else_is_said() -> None:
    paper = make_config("paper")
    assert paper.perceptor == ("pocket",)
    assert paper.size == (256, 256)
    assert paper.steps == (400,)


@pytest.mark.parametrize("guides", ["pocket", ["pocket"], ["pocket", "clip-vit-b-32"], "mine.pt"])
def test_records_from_before_a_setting_have_its_value_of_then(guides: Any) -> None:
    """What a record lacks is newer than it is, and its perceptors were not two by default."""
    config = PaintConfig.from_dict({"prompt": "x", "perceptor": guides, "steps": 9})
    for name in ("size", "scale", "start_tries", "start_steps", "start_scale", "learning_rate"):
        setting = next(item for item in settings() if item.name == name)
        assert setting.get(config) == POCKET[name], name
    both = PaintConfig.from_dict({"perceptor": ["photo", "pocket:0.5"], "steps": 9})
    newer = (
        "scale", "smooth", "sharpen", "levels", "cut_size", "layout", "style_weight",
        "style_share", "start_judge",
    )  # fmt: skip
    then = {name: POCKET[name] for name in newer}
    assert both == PaintConfig().updated(perceptor=["photo", "pocket:0.5"], steps=9, **then)


def test_a_preset_by_name_and_other_guides() -> None:
    """The preset says how, the perceptor who."""
    assert make_config("photo", perceptor="pocket") == PaintConfig(perceptor=("pocket",))
    both = make_config("pocket", perceptor=["pocket", "photo"])
    assert both == make_config(perceptor="pocket").updated(perceptor=["pocket", "photo"])


def test_a_size_is_that_of_the_finished_picture_unless_a_scale_is_given() -> None:
    assert make_config().drawn_size == (512, 512)
    assert make_config(size=(96, 64)).drawn_size == (96, 64)
    assert make_config(size=(96, 64), scale=4).drawn_size == (384, 256)
    assert make_config(scale=1).drawn_size == (256, 256)
    assert make_config("pocket").drawn_size == (128, 128)
