"""What a chat service has to do for the bot: the one thing to write for another service.

`discord_adapter.py` is one. An adapter turns what people do into events, and messages of the bot
into messages there. Texts are plain: whatever the service would make of them (markup, mentions,
previews of links) is the adapter's to prevent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from gouache.errors import GouacheError


class GoneError(GouacheError):
    """The message or its channel is not there any more, or not for the bot."""


class DeliveryError(GouacheError):
    """It could not be delivered now; later it may be."""


@dataclass(frozen=True)
class Button:
    """`action` comes back in `Pressed`: at most 80 characters of ASCII, good for ever."""

    action: str
    label: str


@dataclass(frozen=True)
class Attachment:
    """A file of a message."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Message:
    """All that a message shows; `buttons` are rows of at most five, five rows at most."""

    text: str
    files: tuple[Attachment, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that a person did. `id` is the same if the service tells it twice.

    `reply` is the adapter's own: what `answer` needs.
    """

    id: str
    user: str
    channel: str
    reply: Any = field(default=None, repr=False, compare=False, kw_only=True)


@dataclass(frozen=True)
class Ordered(Event):
    """Words to be painted, with options by their names in `orders.OPTIONS`."""

    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Pressed(Event):
    """A button of a message of the bot."""

    action: str


Handle: TypeAlias = Callable[[Event], Awaitable[None]]


class Adapter(Protocol):
    """A chat service. What fails raises `GoneError` or `DeliveryError`, and nothing else."""

    name: str  # of the service
    text_limit: int  # characters of a message
    file_limit: int  # bytes of a message's files together
    edit_seconds: float  # between two edits of a message, at least

    async def serve(self, handle: Handle) -> None:
        """Connects, and hands every event to `handle`, until it is cancelled.

        Raises `ConfigError` where the service does not let the bot in.
        """
        ...

    async def answer(self, event: Event, message: Message, *, private: bool = False) -> str:
        """Answers an event; the message's id. `private`: for nobody else, and never edited."""
        ...

    async def send(self, channel: str, message: Message) -> str:
        """A message that answers nothing; its id."""
        ...

    async def edit(self, channel: str, id: str, message: Message) -> None:
        """Replaces all of a message, its files and buttons too."""
        ...

    async def find(self, channel: str, action: str) -> str | None:
        """The id of a message of the bot's with this button among the last in a channel.

        None where there is none, or where the bot may not look.
        """
        ...


__all__ = [
    "Adapter",
    "Attachment",
    "Button",
    "DeliveryError",
    "Event",
    "GoneError",
    "Handle",
    "Message",
    "Ordered",
    "Pressed",
]
