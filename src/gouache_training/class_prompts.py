"""Prompts of things that are ImageNet classes, by which a photo classifier can judge pictures.

`CLASS_PROMPTS` measure, `TUNING_PROMPTS` choose settings: what was chosen by some prompts must be
measured by others. The sixty were drawn by lot from a list of everyday things with clear looks,
before a picture of any of them had been painted, and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from gouache_training.captions import with_article

__all__ = ["CLASS_PROMPTS", "TUNING_PROMPTS", "ClassPrompt"]


@dataclass(frozen=True)
class ClassPrompt:
    """A prompt for a thing.

    Attributes:
        group: kind of thing.
        name: plain name of its ImageNet class.
    """

    group: str
    name: str

    @property
    def prompt(self) -> str:
        return with_article(self.name)


def _prompts(group: str, names: str) -> list[ClassPrompt]:
    return [ClassPrompt(group, name) for name in names.split(", ")]


CLASS_PROMPTS: tuple[ClassPrompt, ...] = (
    *_prompts(
        "animals",
        "giant panda, box turtle, scorpion, monarch butterfly, jellyfish, grey wolf, goose, "
        "peafowl, red panda, tree frog, otter, hermit crab, orangutan, hamster, rooster, platypus, "
        "toucan, dragonfly, pelican, sea urchin",
    ),
    *_prompts(
        "food",
        "bell pepper, burrito, popsicle, pomegranate, broccoli, corn, pizza, cauliflower, cabbage, "
        "baguette",
    ),
    *_prompts("instruments", "trombone, maraca, grand piano, cello, drum, harmonica"),
    *_prompts(
        "vehicles",
        "airship, motor scooter, pirate ship, golf cart, taxicab, mountain bike, gondola, "
        "race car, fire truck",
    ),
    *_prompts(
        "buildings",
        "picket fence, suspension bridge, greenhouse, palace, birdhouse, totem pole",
    ),
    *_prompts(
        "things",
        "teddy bear, whistle, traffic light, couch, throne, cowboy boot, hammer, bucket, pinwheel",
    ),
)
"""Sixty, to measure with."""

TUNING_PROMPTS: tuple[ClassPrompt, ...] = tuple(
    _prompts(
        "tuning",
        "teapot, goldfish, violin, school bus, lion, pineapple, mushroom, steam locomotive, "
        "castle, umbrella, sunglasses, flamingo, airliner, candle, pretzel, snail, tractor, "
        "volcano, acoustic guitar, hot dog",
    )
)
"""Twenty, to choose settings with."""
