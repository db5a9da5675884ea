"""Discord, by discord.py: slash commands, buttons, and messages that are edited.

Nothing here is kept: what comes from Discord is handed on, and channels and messages are ids.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
import discord
from discord import app_commands

from gouache.apps.bot.adapter import (
    Button,
    DeliveryError,
    Event,
    GoneError,
    Handle,
    Message,
    Ordered,
    Pressed,
)
from gouache.apps.bot.orders import OPTIONS
from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.runs.varied import COUNT

_LOOKED_AT = 50  # messages of a channel
_NEEDED = ("view_channel", "send_messages", "attach_files")
_REFUSED = (discord.NotFound, discord.Forbidden)
_FAILED = (discord.DiscordException, aiohttp.ClientError, OSError, asyncio.TimeoutError)


class DiscordAdapter:
    """An `Adapter` (`adapter.py`). `token` is the bot's; no message shows it."""

    name = "discord"
    text_limit = 1000  # half of what Discord takes: each character may need a backslash
    file_limit = 10 * 2**20
    edit_seconds = 2.0  # Discord takes five edits in five seconds in a channel

    def __init__(self, token: str) -> None:
        self._token = token
        self._client: Any = None

    async def serve(self, handle: Handle) -> None:
        intents = discord.Intents.none()
        intents.guilds = True  # which servers it is in: no message is read
        client = discord.Client(intents=intents, allowed_mentions=discord.AllowedMentions.none())
        tree = app_commands.CommandTree(client)
        tree.add_command(command(handle))

        async def on_interaction(interaction: discord.Interaction) -> None:
            if interaction.type is discord.InteractionType.component:
                action = str((interaction.data or {}).get("custom_id", ""))
                if await _may_answer(interaction):
                    await handle(Pressed(*_known(interaction), action, reply=interaction))

        client.event(on_interaction)
        client.setup_hook = tree.sync
        self._client = client
        try:
            async with client:
                await client.start(self._token)
        except discord.LoginFailure:
            raise ConfigError(
                "Discord refuses the bot's token; make a new one on its page for developers"
            ) from None
        except _FAILED as error:
            raise ConfigError(f"cannot reach Discord ({one_line(error, 120)})") from None
        finally:
            self._client = None

    async def answer(self, event: Event, message: Message, *, private: bool = False) -> str:
        with _delivering():
            response = await event.reply.response.send_message(
                **_new(message), ephemeral=private, suppress_embeds=True
            )
        return str(response.message_id)

    async def send(self, channel: str, message: Message) -> str:
        with _delivering():
            sent = await self._channel(channel).send(**_new(message), suppress_embeds=True)
        return str(sent.id)

    async def edit(self, channel: str, id: str, message: Message) -> None:
        with _delivering():
            await (
                self._channel(channel)
                .get_partial_message(int(id))
                .edit(
                    content=text(message.text),
                    attachments=_files(message),
                    view=view(message.buttons),
                    allowed_mentions=discord.AllowedMentions.none(),
                )
            )

    async def find(self, channel: str, action: str) -> str | None:
        try:
            with _delivering():
                async for message in self._channel(channel).history(limit=_LOOKED_AT):
                    rows = message.components if message.author == self._client.user else ()
                    buttons = [one for row in rows for one in getattr(row, "children", ())]
                    if any(getattr(one, "custom_id", "") == action for one in buttons):
                        return str(message.id)
        except GoneError:  # it may not read what was said before
            pass
        return None

    def _channel(self, channel: str) -> Any:
        if self._client is None or not self._client.is_ready():
            raise DeliveryError("not connected yet")
        return self._client.get_partial_messageable(int(channel))


def command(handle: Handle) -> Any:
    """`/imagine`, whose options are those of `orders.OPTIONS`."""

    async def imagine(
        interaction: discord.Interaction,
        prompt: str,
        avoid: str | None = None,
        size: str | None = None,
        seed: int | None = None,
        count: app_commands.Range[int, 1, COUNT] | None = None,
    ) -> None:
        options = {"prompt": prompt, "avoid": avoid, "size": size, "seed": seed, "count": count}
        if await _may_answer(interaction):
            await handle(Ordered(*_known(interaction), options, reply=interaction))

    described = app_commands.describe(**OPTIONS)(imagine)
    return app_commands.Command(
        name="imagine", description="Paints pictures from words", callback=described
    )


def _known(interaction: discord.Interaction) -> tuple[str, str, str]:
    """Event, user and channel."""
    return str(interaction.id), str(interaction.user.id), str(interaction.channel_id)


async def _may_answer(interaction: discord.Interaction) -> bool:
    """Whether the bot can bring pictures into the channel; else it says what it needs."""
    may = interaction.app_permissions
    if interaction.guild_id is None or all(getattr(may, name) for name in _NEEDED):
        return True
    told = "the bot may not write here; it needs View Channel, Send Messages and Attach Files"
    with suppress(DeliveryError, GoneError), _delivering():
        await interaction.response.send_message(told, ephemeral=True)
    return False


def text(plain: str) -> str:
    """Markup that shows the text as it is."""
    return str(discord.utils.escape_markdown(plain, ignore_links=False))


def view(rows: tuple[tuple[Button, ...], ...]) -> Any:
    """Rows of buttons, None for none."""
    if not rows:
        return None
    made = discord.ui.View(timeout=None)
    for number, row in enumerate(rows):
        for one in row:
            made.add_item(discord.ui.Button(label=one.label, custom_id=one.action, row=number))
    made.stop()  # the client need not remember it: `on_interaction` hears all buttons
    return made


def _new(message: Message) -> dict[str, Any]:
    shown = {
        "content": text(message.text),
        "files": _files(message),
        "view": view(message.buttons),
        "allowed_mentions": discord.AllowedMentions.none(),
    }
    return {name: value for name, value in shown.items() if value}


def _files(message: Message) -> list[Any]:
    return [discord.File(io.BytesIO(one.data), filename=one.name) for one in message.files]


@contextmanager
def _delivering() -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        raise GoneError(f"Discord refuses a message ({one_line(error, 120)})") from None
    except _FAILED as error:
        raise DeliveryError(f"Discord does not take a message ({one_line(error, 120)})") from None


__all__ = ["DiscordAdapter", "command", "text", "view"]
