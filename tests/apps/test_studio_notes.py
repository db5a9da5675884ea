"""What the studio tells of a prompt whose words the guide does not know."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from gouache.apps.studio.http import make_app
from gouache.apps.studio.noting import Note
from gouache.apps.studio.orders import Limits, Order
from gouache.apps.studio.worker import Studio
from gouache.engine import Session
from gouache.engine.targets import LaidOutWarning, UnknownPlaceWarning, UnknownPromptWarning
from gouache.perceptors.truncation import TruncationWarning
from gouache.runs.finish import ScaleWarning
from tiny import TinyGenerator, TinyPerceptor, tiny_config


class English(TinyPerceptor):
    def unknown_words(self, text: str) -> list[str]:
        return [word for word in text.split() if not word.isascii()]


def build(order: Order) -> Session:
    config = tiny_config(prompt=order.config.title, steps=(1,))
    return Session.build(config, generator=TinyGenerator(), perceptor=English())


def painted(client: Any, prompt: str) -> dict[str, Any]:
    made = client.post("/api/runs", json={"prompt": prompt, "settings": {"size": "32x24"}})
    deadline = time.monotonic() + 60
    while True:
        told = client.get(f"/api/runs/{made.json()['id']}").json()
        if told["status"] in ("done", "failed"):
            return dict(told)
        assert time.monotonic() < deadline, told
        time.sleep(0.01)


def test_unknown_words_are_told_and_a_wish_without_known_ones_fails(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs", Limits(), build)
    client = TestClient(make_app(studio))
    told = painted(client, "a red \u82f9\u679c | a \u68a8")
    assert told["status"] == "done"
    (note,) = told["notes"]
    assert note == {
        "kind": "unknown-words",
        "text": "the guide tiny does not know '\u82f9\u679c', '\u68a8'; write it in English",
        "words": ["\u82f9\u679c", "\u68a8"],
    }
    told = painted(client, "\u82f9\u679c")
    assert (told["status"], told["notes"]) == ("failed", [])
    assert "knows no word of '\u82f9\u679c'" in told["error"]
    assert painted(client, "a red apple")["notes"] == []
    studio.close()


def test_a_note_has_a_kind_and_what_its_warning_is_of() -> None:
    told = {
        LaidOutWarning("two things", ["a | b"]): ("laid-out", {"things": ["a | b"]}),
        UnknownPromptWarning("x", ["x"], ["y"]): (
            "unknown-prompt",
            {"roughly": ["x"], "unguided": ["y"]},
        ),
        UnknownPlaceWarning("no place", {"@tpo": "@top"}): (
            "unknown-place",
            {"places": {"@tpo": "@top"}},
        ),
        TruncationWarning("cut off", "the end"): ("truncation", {"cut": "the end"}),
        ScaleWarning("larger"): ("scale", {}),
    }
    for warning, (kind, details) in told.items():
        assert Note.of(warning, type(warning)) == Note(kind, str(warning), details)
        copy = pickle.loads(pickle.dumps(warning))  # as workers send them
        assert (str(copy), getattr(copy, "details", {})) == (str(warning), details)
        plain = type(warning)("again")  # as it is told once more, where only its text is known
        assert Note.of(plain, type(plain)).text == "again"
