"""Styles and weather by name: what words ask for, and filters that draw any picture so.

The filters are classical image processing, the same that `pocket` learned the styles' names from.
Painting begins from a picture drawn so, and is held near it (`engine.styled`): guides know a style
by its colours and strokes, and do not draw the tiles of a mosaic by themselves.

Not here: what is painted before and after, and how strongly it is held (`engine.styled`, `losses`).
"""

from gouache.styles.asking import Asked, find_style
from gouache.styles.drawing import draw_in, examples, known_styles
from gouache.styles.weather import find_weather, without_weather

__all__ = [
    "Asked",
    "draw_in",
    "examples",
    "find_style",
    "find_weather",
    "known_styles",
    "without_weather",
]
