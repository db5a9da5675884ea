"""A chat service that is a list of messages, for tests of the bot; another adapter."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from gouache.apps.bot.adapter import (
    DeliveryError,
    Event,
    GoneError,
    Handle,
    Message,
    Ordered,
    Pressed,
)
from gouache.apps.bot.bot import Bot
from gouache.apps.bot.orders import Limits
from gouache.apps.studio.orders import Order
from gouache.apps.studio.worker import Studio
from studio_client import tiny_build


@dataclass
class Gateway:
    """Keeps what the bot says; `lines` are what only one person reads.

    `broken` names calls that fail. With `log`, messages outlive the process, as a service's do.
    """

    log: Path | None = None
    name: str = "fake"
    text_limit: int = 400
    file_limit: int = 10**6
    edit_seconds: float = 0.01
    messages: dict[str, Message] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    history: list[tuple[str, str, Message]] = field(default_factory=list)  # call, id, message
    broken: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    handle: Handle | None = None
    _numbers: Any = field(default_factory=count)

    async def serve(self, handle: Handle) -> None:
        self.handle = handle
        await asyncio.Event().wait()

    async def answer(self, event: Event, message: Message, *, private: bool = False) -> str:
        self._may("answer")
        if private:
            self.lines.append(message.text)
            return ""
        return self._keep("answer", f"m{event.id}", message)

    async def send(self, channel: str, message: Message) -> str:
        self._may("send")
        return self._keep("send", f"s{next(self._numbers)}", message)

    async def edit(self, channel: str, id: str, message: Message) -> None:
        self._may("edit")
        if id in self.deleted:
            raise GoneError("the message was deleted")
        self._keep("edit", id, message)

    async def find(self, channel: str, action: str) -> str | None:
        self._may("find")
        for id, message in self.messages.items():
            if id not in self.deleted and action in actions(message):
                return id
        return None

    def _may(self, call: str) -> None:
        if call in self.broken:
            raise DeliveryError("the service is away")

    def _keep(self, call: str, id: str, message: Message) -> str:
        assert len(message.text) <= self.text_limit
        assert sum(len(file.data) for file in message.files) <= self.file_limit
        assert max(map(len, [*message.buttons, message.buttons])) <= 5
        self.messages[id] = message
        self.history.append((call, id, message))
        if self.log is not None:
            told = [call, id, message.text, actions(message), [f.name for f in message.files]]
            with self.log.open("a") as log:
                log.write(json.dumps(told) + "\n")
                log.flush()
                os.fsync(log.fileno())
        return id

    # What people do.

    async def imagine(self, id: str, user: str = "ada", **options: Any) -> None:
        options = {"prompt": "a red apple", "size": "32x24", "count": 1, "seed": 3, **options}
        await self.do(Ordered(id, user, "garden", options))

    async def press(self, id: str, action: str, user: str = "ada") -> None:
        await self.do(Pressed(id, user, "garden", action))

    async def do(self, event: Event) -> None:
        assert self.handle is not None
        await self.handle(event)

    def finals(self) -> list[str]:
        """Ids of messages that show a result, in the order of the results."""
        return [id for call, id, message in self.history if is_final(call, actions(message))]


def actions(message: Message) -> list[str]:
    return [button.action for row in message.buttons for button in row]


def is_final(call: str, told: list[str]) -> bool:
    return call == "edit" and not any(one.startswith("cancel:") for one in told)


@asynccontextmanager
async def serving(
    root: Path,
    gateway: Gateway | None = None,
    limits: Limits | None = None,
    build: Any = tiny_build,
) -> AsyncIterator[tuple[Gateway, Bot, Studio]]:
    """A bot at a fake gateway; both end with the body."""
    gateway, limits = gateway or Gateway(), limits or Limits(waiting=20)
    studio = Studio(root, limits.of_studio(), lambda order: build(_short(order)))
    bot = Bot(studio, gateway, limits)
    task = asyncio.create_task(bot.run())
    try:
        await until(lambda: gateway.handle is not None or task.done())
        yield gateway, bot, studio
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gateway.handle = None
        await asyncio.to_thread(studio.close)


def _short(order: Order) -> Order:
    """Orders do not say how many steps."""
    return replace(order, config=order.config.updated(steps=(4,)))


async def until(told: Callable[[], object], seconds: float = 120) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not told():
        assert loop.time() < deadline
        await asyncio.sleep(0.01)
