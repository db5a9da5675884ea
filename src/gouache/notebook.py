"""For notebooks: `from gouache.notebook import live`."""

from gouache.apps.notebook import Live, live

__all__ = ["Live", "live"]
