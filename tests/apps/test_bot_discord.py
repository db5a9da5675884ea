"""The adapter for Discord, as far as it can be seen without Discord."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("discord")

import discord

from gouache.apps.bot import discord_adapter
from gouache.apps.bot.adapter import (
    Attachment,
    Button,
    DeliveryError,
    Event,
    GoneError,
    Message,
    Ordered,
)
from gouache.apps.bot.discord_adapter import DiscordAdapter
from gouache.apps.bot.orders import OPTIONS
from gouache.errors import ConfigError

MESSAGE = Message(
    "*all* <@1> @everyone",
    (Attachment("a.png", b"data"),),
    ((Button("vary:1", "Vary"), Button("film:1", "Film")), (Button("again:1", "Again"),)),
)


class Interaction(SimpleNamespace):
    """What discord.py hands on, and what is answered."""

    def __init__(self, **permissions: bool) -> None:
        self.sent: list[dict[str, Any]] = []

        async def send_message(content: str = "", **given: Any) -> Any:
            self.sent.append({"content": content, **given})
            return SimpleNamespace(message_id=77)

        may = dict.fromkeys(("view_channel", "send_messages", "attach_files"), True)
        super().__init__(
            id=5,
            user=SimpleNamespace(id=6),
            channel_id=7,
            guild_id=8,
            app_permissions=discord.Permissions(**{**may, **permissions}),
            response=SimpleNamespace(send_message=send_message),
        )


def ordered(interaction: Any, **options: Any) -> list[Event]:
    got: list[Event] = []

    async def handle(event: Event) -> None:
        got.append(event)

    asyncio.run(discord_adapter.command(handle).callback(interaction, **options))
    return got


def test_the_command_has_the_options_of_an_order() -> None:
    async def made() -> Any:
        client = discord.Client(intents=discord.Intents.none())
        return discord_adapter.command(lambda event: None).to_dict(
            discord.app_commands.CommandTree(client)
        )

    told = asyncio.run(made())
    assert told["name"] == "imagine"
    assert {one["name"]: one["description"] for one in told["options"]} == OPTIONS
    assert [one["name"] for one in told["options"] if one["required"]] == ["prompt"]


def test_an_order_is_handed_on() -> None:
    interaction = Interaction()
    (event,) = ordered(interaction, prompt="a tree", count=2)
    assert isinstance(event, Ordered)
    assert (event.id, event.user, event.channel, event.reply) == ("5", "6", "7", interaction)
    assert event.options == {
        **dict.fromkeys(OPTIONS),
        "prompt": "a tree",
        "count": 2,
    }


def test_where_it_may_not_write_it_says_so() -> None:
    interaction = Interaction(attach_files=False)
    assert not ordered(interaction, prompt="a tree")
    assert "Attach Files" in interaction.sent[0]["content"]
    assert interaction.sent[0]["ephemeral"]


def test_words_are_only_text_and_nobody_is_called() -> None:
    interaction, adapter = Interaction(), DiscordAdapter("token")
    event = Event("1", "2", "3", reply=interaction)

    async def answer() -> str:
        return await adapter.answer(event, MESSAGE)

    assert asyncio.run(answer()) == "77"
    sent = interaction.sent[0]
    assert sent["content"].startswith("\\*all\\*")
    assert sent["suppress_embeds"]
    assert sent["allowed_mentions"].to_dict()["parse"] == []
    assert [file.filename for file in sent["files"]] == ["a.png"]
    rows = sent["view"].to_components()
    actions = [[one["custom_id"] for one in row["components"]] for row in rows]
    assert actions == [["vary:1", "film:1"], ["again:1"]]
    assert sent["view"].is_finished()  # discord.py does not keep it
    assert len(discord_adapter.text("*" * adapter.text_limit)) <= 2000


def test_what_fails_is_gone_or_may_come_later() -> None:
    response = SimpleNamespace(status=404, reason="")
    for error, kind in (
        (discord.NotFound(response, "unknown"), GoneError),
        (discord.Forbidden(response, "no"), GoneError),
        (discord.HTTPException(response, "busy"), DeliveryError),
        (TimeoutError(), DeliveryError),
    ):
        with pytest.raises(kind), discord_adapter._delivering():
            raise error
    with pytest.raises(DeliveryError, match="not connected"):
        asyncio.run(DiscordAdapter("token").send("1", MESSAGE))


def test_a_refused_token_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: object, token: str) -> None:
        raise discord.LoginFailure("Improper token has been passed.")

    async def handle(event: Event) -> None:
        return None

    monkeypatch.setattr(discord.Client, "start", refuse)
    with pytest.raises(ConfigError, match="refuses the bot's token") as caught:
        asyncio.run(DiscordAdapter("secret-token").serve(handle))
    assert "secret" not in str(caught.value)
