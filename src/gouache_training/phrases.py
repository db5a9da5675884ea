"""Made-up captions that teach the photo guide to find the noun that a phrase is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from gouache.styles.filters import STYLES
from gouache_training.captions import fill, one_of, plural, with_article
from gouache_training.colors import COLOR_NAMES
from gouache_training.grounds import SCENES
from gouache_training.taxonomy import Known

__all__ = ["SHARES", "Phrase", "Phrases"]


@dataclass(frozen=True)
class Phrase:
    """A caption, the classes that it means (1000,), and how much that tells."""

    text: str
    mixture: Tensor
    confidence: float


# Of nouns that are a class's own, known ones, things that icons show and photographs did not, and
# all other nouns.
SHARES = (0.36, 0.34, 0.2, 0.1)

_SIZES = ("big", "small", "tiny", "huge", "old", "cute", "beautiful", "happy", "sad", "little")
_LINKS_TOGETHER = ("and", "and", "with", "next to", "beside", "and also")
_LINKS_DOING = (
    *("riding", "holding", "eating", "jumping over", "jumping out of", "flying over", "carrying"),
    *(
        "standing in",
        "standing on",
        "sitting on",
        "sleeping on",
        "full of",
        "looking at",
        "chasing",
    ),
    *("walking through", "swimming in", "playing with", "wearing", "made of", "inside", "at"),
)
_LINKS_PLACE = ("in", "on", "by", "near", "in front of", "under", "on top of", "behind", "above")
_TAILS = (
    *("at night", "at dusk", "at dawn", "at sunset", "in the rain", "in the fog", "in winter"),
    *("in autumn", "in spring", "in the sky", "in space", "on a white background", "on white"),
    *("on a black background", "in a dark room", "by moonlight", "in the style of van gogh"),
    *("by monet", "in the style of picasso", "trending on artstation", "highly detailed"),
    *("close up", "from above", "studio lighting", "made of glass", "made of gold", "made of wood"),
    *("4k", "unreal engine", "ukiyo-e", "art nouveau", "cubism", "impressionism", "gothic"),
    *("running", "sleeping", "dancing", "flying", "with a beard", "with big eyes", "on fire"),
    *("isolated", "minimalist", "colourful", "soft light", "cinematic", "concept art"),
)
_FRAMES = (
    *("a photo of {a}", "a picture of {a}", "an image of {a}", "a painting of {a}"),
    *("a drawing of {a}", "an illustration of {a}", "a portrait of {a}", "{a}", "{n}"),
)


class Phrases:
    """Makes captions about nouns. Chance comes from `rng` alone.

    Args:
        pools: nouns and what is known of them; `SHARES` says how often each pool is drawn from.
    """

    def __init__(
        self, pools: Sequence[Sequence[tuple[str, Known]]], rng: np.random.Generator
    ) -> None:
        filled = [(pool, share) for pool, share in zip(pools, SHARES, strict=True) if pool]
        self._pools = [pool for pool, _ in filled]
        shares = np.cumsum([share for _, share in filled])
        self._bounds = shares / shares[-1]
        self._rng = rng
        scenes = tuple(words for scene in SCENES for words in scene.words)
        self._tails = (*_TAILS, *scenes)
        self._styles = tuple(template for style in STYLES for template in style.templates)

    def batch(self, n: int) -> list[Phrase]:
        return [self.one() for _ in range(n)]

    def one(self) -> Phrase:
        """One caption: one thing, sometimes two, with colours, places and styles that say nothing
        of what the things are."""
        rng = self._rng
        noun, known = self._noun()
        draw = rng.random()
        if draw < 0.25 or len(noun.split()) > 4:
            return Phrase(self._dressed(noun), known.mixture, known.confidence)
        if draw < 0.75:
            return Phrase(self._placed(self._adorned(noun)), known.mixture, known.confidence)
        other, second = self._noun()
        links = (_LINKS_TOGETHER, _LINKS_PLACE, _LINKS_DOING)[int(3 * rng.random())]
        together = links is _LINKS_TOGETHER
        share = 0.5 if together else 0.65
        link = one_of(links, rng)
        text = f"{with_article(self._adorned(noun))} {link} {with_article(self._adorned(other))}"
        weights = share * known.confidence, (1 - share) * second.confidence
        total = sum(weights)
        mixture = known.mixture
        if total > 0:
            mixture = (weights[0] * known.mixture + weights[1] * second.mixture) / total
        # What is known of a part is worth telling: most of what a phrase is about stands first.
        tells = (0.6, 0.6) if together else (0.9, 0.45)
        missing = (1 - tells[0] * known.confidence) * (1 - tells[1] * second.confidence)
        return Phrase(self._styled(text), mixture, 1 - missing)

    def _noun(self) -> tuple[str, Known]:
        pool = self._pools[int(np.searchsorted(self._bounds, self._rng.random(), "right"))]
        return pool[int(self._rng.random() * len(pool))]

    def _adorned(self, noun: str) -> str:
        draw = self._rng.random()
        if draw < 0.3:
            return f"{one_of(COLOR_NAMES, self._rng)} {noun}"
        return f"{one_of(_SIZES, self._rng)} {noun}" if draw < 0.45 else noun

    def _dressed(self, noun: str) -> str:
        draw = self._rng.random()
        if draw < 0.3:
            return noun
        if draw < 0.4 and noun.replace(" ", "").isalpha():
            return plural(noun)
        return with_article(noun)

    def _placed(self, noun: str) -> str:
        text = fill(one_of(_FRAMES, self._rng), noun)
        if self._rng.random() < 0.55:
            text = f"{text} {one_of(self._tails, self._rng)}"
        return self._styled(text) if self._rng.random() < 0.5 else text

    def _styled(self, text: str) -> str:
        draw = self._rng.random()
        if draw < 0.3:
            template = one_of(self._styles, self._rng)
            return template.replace("{a}", text).replace("{n}", text)
        return f"{text}, {one_of(self._tails, self._rng)}" if draw < 0.6 else text
