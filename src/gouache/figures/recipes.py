"""One recipe per figure of the paper's appendix (Crowson et al. 2022, arXiv 2204.08583)."""

from __future__ import annotations

from collections.abc import Callable

from gouache.errors import ConfigError
from gouache.figures.masked import MASKED_EDITING
from gouache.figures.recipe import OURS, Cell, Order, Recipe, parts_of
from gouache.figures.words import WORDS, World
from gouache.registry import Registry
from gouache.systems.known import NEEDS_WEIGHTS, available

Prompts = Callable[[World], tuple[str, ...]]


def _sheet_of(number: str) -> Callable[[Order], list[Cell]]:
    """The twelve prompts, by one system; where the world has none, by the paper's."""

    def cells(order: Order) -> list[Cell]:
        own, paper = (WORDS[world].systems for world in (order.world, "paper"))
        painters = order.systems or (own.get(number) or paper.get(number, OURS),)
        prompts = order.prompts or WORDS[order.world].twelve
        return [Cell(prompt, system=painter) for painter in painters for prompt in prompts]

    return cells


def _systems_beside(number: int) -> Callable[[Order], list[Cell]]:
    """Titles by artists: a row per system, ours last. Systems that are not installed are left out
    unless they are named."""

    def cells(order: Order) -> list[Cell]:
        prompts = order.prompts or WORDS[order.world].artists[number]
        painters = order.systems
        if not painters:
            own = WORDS[order.world].systems.values()
            found = available() if order.world == "paper" else list(own)
            painters = (*found, OURS)
        return [
            Cell(prompt, painter, prompt, system=painter)
            for painter in painters
            for prompt in prompts
        ]

    return cells


def _without_weights(order: Order) -> tuple[str, ...]:
    """Of the paper's systems those that `_systems_beside` leaves out."""
    if order.systems or order.world != "paper":
        return ()
    here = available()
    return tuple(name for name in NEEDS_WEIGHTS if name not in here)


def _latents(order: Order) -> list[Cell]:
    kinds: dict[str, dict[str, object]] = {
        "codebook sampling": {"latent": "codebook-sampling"},
        "z-quantize": {"latent": "quantized", "latent_weight": 0.0},
        "z-quantize + L2": {
            "latent": "quantized",
            "latent_rule": "decay",
            "latent_weight": 0.1,
        },
    }
    world = WORDS[order.world]
    prompts = order.prompts or world.latents
    # Ours paints otherwise at a lower rate than sampling wants: here the latent alone differs.
    alike: dict[str, object] = {} if world.preset == "paper" else {"learning_rate": 0.2}
    return [
        Cell(prompt, kind, prompt, settings, alike)
        for kind, settings in kinds.items()
        for prompt in prompts
    ]


def _augmentations(order: Order) -> list[Cell]:
    world = WORDS[order.world]
    kinds = {"none": (), **{name: (name,) for name in world.augment}, "all": world.augment}
    return [
        # Whole views are hardly bent: with many of them every column would look the same.
        Cell(prompt, prompt, kind, {"augment": names}, {"whole_share": 0.1})
        for prompt in order.prompts or world.augmentations
        for kind, names in kinds.items()
    ]


def _additions(order: Order) -> list[Cell]:
    triples = WORDS[order.world].additions
    if order.prompts:
        triples = tuple(map(_content_and_style, order.prompts))
    found = []
    for content, style, both in triples:
        escaped = [part.replace("|", "\\|") for part in (content, style)]
        added = " | ".join(escaped)
        found += [
            Cell(escaped[0], both, "content", asked=content),
            Cell(both, both, "one sentence"),
            Cell(added, both, "content + style, losses", {"combine": "loss"}, asked=both),
            Cell(added, both, "content + style, embeddings", {"combine": "embedding"}, asked=both),
            Cell(escaped[1], both, "style", asked=style),
        ]
    return found


def _content_and_style(line: str) -> tuple[str, str, str]:
    parts = parts_of(line)
    if len(parts) not in (2, 3) or not all(parts):
        raise ConfigError(
            "figure 17 wants lines 'content | style' or 'content | style | both in one sentence', "
            f"got {line!r:.80}"
        )
    content, style = parts[:2]
    return content, style, parts[2] if len(parts) == 3 else f"{style} of {content}"


recipes: Registry[Recipe] = Registry("figure", "gouache.figures")
for _number, _title in (
    ("9", "the same prompts by an autoregressive transformer"),
    ("10", "the same prompts by diffusion, guided by CLIP"),
    ("11", "the same prompts by diffusion, without a classifier"),
    ("12", "twelve prompts by VQGAN-CLIP"),
):
    recipes.add(_number, Recipe(_number, _title, _sheet_of(_number), captions=True))
recipes.add(
    "13",
    Recipe(
        "13",
        "titles and who is to have painted them",
        _systems_beside(0),
        left_out=_without_weights,
    ),
)
recipes.add("14", Recipe("14", "more of figure 13", _systems_beside(1), left_out=_without_weights))
recipes.add("15", Recipe("15", "codebook sampling, z-quantize, z-quantize + L2", _latents))
recipes.add("16", Recipe("16", "no augmentation, each one alone, all", _augmentations))
recipes.add("17", Recipe("17", "prompt addition: content, sentence, sums, style", _additions))
recipes.add("18", MASKED_EDITING)

__all__ = ["recipes"]
