"""The prompts of the paper's figures, and their like inside the world of the shipped models.

The shipped models know single things, colours, scenes and styles of clip art
(docs/models/pocket.md); the paper's own prompts would ask for what they have never seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gouache.settings.presets import GUIDES


@dataclass(frozen=True)
class World:
    """Models by default, and what the figures ask of them.

    Attributes:
        defaults: settings that name the models, with the preset for them.
        systems: the other systems, by the figure that shows each alone (9 to 11).
        judge: perceptor that says what it sees and never guides, "" where there is none.
        twelve: figures 9 to 12.
        artists: figures 13 and 14.
        latents: figure 15.
        augmentations: figure 16.
        additions: figure 17, (content, style, both in one sentence).
        edits: figure 18, (picture, source phrase, target phrase).
        augment: the augmentations that are on by default there.
    """

    preset: str
    defaults: dict[str, Any]
    systems: dict[str, str]
    judge: str
    twelve: tuple[str, ...]
    artists: tuple[tuple[str, ...], tuple[str, ...]]
    latents: tuple[str, ...]
    augmentations: tuple[str, ...]
    additions: tuple[tuple[str, str, str], ...]
    edits: tuple[tuple[str, str, str], ...]
    augment: tuple[str, ...] = field(
        default=("flip", "affine", "perspective", "color", "erasing", "noise")
    )


WORDS: dict[str, World] = {
    "pocket": World(
        preset="auto",
        defaults={"generator": "pocket", "perceptor": GUIDES},
        systems={
            "9": "pocket-ar",
            "10": "pocket-diffusion-clip",
            "11": "pocket-diffusion-free",
        },
        judge="referee",
        twelve=(
            "an oil painting of a strawberry",
            "a pencil sketch of a castle",
            "a volcano at sunset",
            "a house in the snow",
            "a stained glass window of a butterfly",
            "a line drawing of a bicycle",
            "a rocket in space",
            "a mosaic of a fish",
            "a red apple",
            "a yellow star",
            "a woodcut of a ship",
            "a palm tree on a beach",
        ),
        artists=(
            (
                "a watercolor painting of a tree",
                "a charcoal drawing of a cat",
                "a woodcut of a mountain",
            ),
            ("an oil painting of a castle", "a pastel drawing of a flower", "pixel art of a ship"),
        ),
        latents=(
            "a castle at night",
            "a watercolor painting of a tree",
            "an oil painting of an apple",
            "a sailboat at sea",
        ),
        augmentations=("a frog", "a house"),
        additions=(
            ("a house", "a watercolor painting", "a watercolor painting of a house"),
            ("a fish", "a stained glass window", "a stained glass window of a fish"),
            ("a castle", "a charcoal drawing", "a charcoal drawing of a castle"),
        ),
        edits=(
            ("a red apple and a banana", "an apple", "a pear"),
            ("a house next to a tree", "a tree", "a mushroom"),
        ),
    ),
    "paper": World(
        preset="paper",
        defaults={"generator": "imagenet-f16-16384", "perceptor": ("clip-vit-b-32",)},
        systems={"9": "mindalle", "10": "glide-clip", "11": "glide-free"},
        judge="",
        twelve=(
            "Oil painting of a candy dish of glass candies, mints, and other assorted sweets",
            "A colored pencil drawing of a waterfall",
            "A fantasy painting of a city in a deep valley by Ivan Aivazovsky",
            "A beautiful painting of a building in a serene landscape",
            "sketch of a 3D printer by Leonardo da Vinci",
            "an autogyro flying car, trending on artstation",
            "an astronaut in the style of van Gogh",
            "Baba Yaga's house + fantasy art",
            "pickled eggs, tempera on wood",
            "effervescent hope",
            "the Tower of Babel by J.M.W. Turner",
            "a futuristic city in synthwave style",
        ),
        artists=(
            ("Willow Trees by van Gogh", "The Woman by Picasso", "Rice farming by Hokusai"),
            (
                "the Tower of Babel by Turner",
                "A Self-Portrait by Kahlo",
                "In Search of Lost Time by Mehretu",
            ),
        ),
        latents=(
            "a forest rendered in the Unreal Engine",
            "a watercolor painting of the universal library",
            "An oil painting of The New York City Skyline by Natalia Goncharova",
            "the gateway between dreams trending on ArtStation",
        ),
        augmentations=(
            "A colored pencil drawing of a waterfall",
            "an astronaut in the style of van Gogh",
        ),
        additions=(
            (
                "A baseball game",
                "A watercolor painting",
                "A watercolor painting of a baseball game",
            ),
            ("A farm", "A charcoal drawing", "A charcoal drawing of a farm"),
        ),
        edits=(
            ("a photo of a man in a jacket", "Jacket", "Fur"),
            ("a photo of windmills in a field", "Windmills", "Mushrooms"),
        ),
        # The preset erases nothing.
        augment=("flip", "affine", "perspective", "color", "noise"),
    ),
}

__all__ = ["WORDS", "World"]
