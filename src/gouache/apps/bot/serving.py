"""Runs the bot until it is interrupted."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from pathlib import Path

from gouache.apps.bot.adapter import Adapter
from gouache.apps.bot.bot import Bot
from gouache.apps.bot.orders import Limits
from gouache.apps.studio.locking import locked
from gouache.apps.studio.warming import warm
from gouache.apps.studio.worker import Studio


def serve(adapter: Adapter, root: Path, limits: Limits) -> int:
    """Serves a chat; the exit code. `ConfigError` where the service refuses the bot, `OutputError`
    for `root`, whose files are private to whoever starts it."""
    with locked(root):
        studio = Studio(root, limits.of_studio())
        warming = threading.Thread(target=warm, name="warming", daemon=True)
        warming.start()
        print(f"gouache bot: {adapter.name}  (pictures in {root})", file=sys.stderr)
        try:
            with suppress(KeyboardInterrupt):  # all is on the disk
                asyncio.run(Bot(studio, adapter, limits).run())
        finally:
            studio.close()
            warming.join()  # a process that ends while models are loaded may abort
        return 0


__all__ = ["serve"]
