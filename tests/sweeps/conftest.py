"""A file that tells which cells are begun, by whom."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("log") / "log"
    path.touch()
    monkeypatch.setenv("SWEEP_LOG", str(path))
    return path
