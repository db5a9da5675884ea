"""Documents of pictures that are damaged, changed by hand, or from versions that are not yet."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache import __version__
from gouache.apps.cli.main import run
from gouache.errors import ImageError
from gouache.output.documents import check_document, later_version
from gouache.output.pictures import save_picture
from tiny import tiny_session

ODD: list[Any] = [None, [], {}, [1], {"a": 1}, "", "x", -1, 9, 10**400, 1e308, float("nan"), True]
ODD += [["\ud800"], {"\x1b[31m": "\x00"}, [[[]]], "\n\x1b[2J"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    session = tiny_session(count=2, noise_prompts=("3:0.1",))
    record = session.record(next(session).losses, 1)
    record["inputs"] = [{"setting": "init_image", "name": "a.png", "sha256": "0" * 64}]
    record["edits"] = [{"step": 1, "edit": "image", "cells": 3}]
    return record


def save(path: Path, document: Any) -> Path:
    save_picture(Image.new("RGB", (4, 4)), path, document)
    return path


def one_line_or_fine(code: int, err: str) -> None:
    assert code in (0, 2)
    assert err.count("\n") <= 1
    assert "Traceback" not in err
    assert (code == 2) == bool(err) or "note:" in err
    assert all(char.isprintable() for char in err.rstrip("\n"))


def mutated(document: dict[str, Any], rng: random.Random) -> Any:
    """Something somewhere in it is something else, or gone."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2))):
        inner: Any = changed
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(inner[key], (dict, list)) and rng.random() < 0.6:
                inner = inner[key]
                continue
            if rng.random() < 0.2:
                del inner[key]
            else:
                inner[key] = copy.deepcopy(rng.choice(ODD))
            break
    return changed


def test_info_of_mutated_documents(
    tmp_path: Path,
    document: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    rng = random.Random(0)
    for _ in range(150):
        path = save(tmp_path / "a.png", mutated(document, rng))
        for command in (["info"], ["info", "--json"], ["replay", "--out", str(tmp_path / "b.png")]):
            code = run([command[0], str(path), *command[1:]])
            out, err = capsys.readouterr()
            one_line_or_fine(code, err)
            if command == ["info", "--json"] and not code:
                json.loads(out)
            if command[0] == "replay":  # the picture was changed by hand, or is damaged
                assert code == 2


def test_info_of_damaged_files(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    data = save(tmp_path / "a.png", document).read_bytes()
    rng = random.Random(1)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "b.png").write_bytes(damaged[: rng.choice([len(data), rng.randrange(60, 900)])])
        one_line_or_fine(run(["info", str(tmp_path / "b.png")]), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"config": []}, "config is []; expected settings by name"),
        ({"generator": None}, "generator is None; expected a model"),
        ({"losses": [1]}, "losses is [1]; expected numbers by name"),
        ({"picture": 9}, "picture is 9 and count 2"),
        ({"picture": True}, "picture is True"),
        ({"perceptors": [{"weight": "x"}]}, "expected a list of models"),
    ],
)
def test_what_is_damaged_is_named(document: dict[str, Any], change: Any, told: str) -> None:
    with pytest.raises(ImageError) as caught:
        check_document({**document, **change}, "a.png")
    assert told in str(caught.value)
    assert "give the original picture" in str(caught.value)


def test_a_later_version_says_so(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    document = {**document, "edits": [], "inputs": []}
    later = {**document, "version": "91.0.2"}
    path = save(tmp_path / "a.png", later)
    assert run(["info", str(path)]) == 0
    err = capsys.readouterr().err
    assert f"was made by gouache 91.0.2, later than this one ({__version__})" in err
    path = save(tmp_path / "b.png", {**later, "config": {**later["config"], "newthing": 1}})
    assert run(["replay", str(path)]) == 2
    err = capsys.readouterr().err
    assert "91.0.2" in err
    assert "newthing" in err
    assert "install that version" in err
    assert "damaged" not in err
    path = save(tmp_path / "c.png", {**document, "format": 2})
    for command in ("info", "replay"):
        assert run([command, str(path)]) == 2
        assert "another gouache, later than this one" in capsys.readouterr().err
    assert later_version({"version": "0.0.9"}, "x") == ""


def test_a_mask_and_other_documents_tell_what_they_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.png", {"mask": {"phrase": "a red apple", "share": 0.25}})
    assert run(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "mask phrase  a red apple" in out
    assert "mask share   0.25" in out
    assert run(["replay", str(path)]) == 2
    assert "lacks settings" in capsys.readouterr().err
