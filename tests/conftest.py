"""One thread for everything: the tensors are tiny, and waiting for a second thread takes longer."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, so that processes started by tests inherit it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

# Training and benchmarks are in no wheel: they are tested where they lie. At the end of the path,
# so that gouache itself is the installed one.
_ROOT = Path(__file__).parents[1]
sys.path.append(str(_ROOT / "src"))

# Whoever starts the tests in the background has Ctrl-C ignored, and gouache leaves it so, as nohup
# wants: but tests send it to processes that they start, which inherit what is set here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.option.rerun_show_tracebacks = True  # of first tries that failed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a page does depends on how fast the machine is, too: a test in a browser has a second
    try, and the summary tells of it. No other test has one."""
    if not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _recursion_limit() -> Iterator[None]:
    """Torch's compiler raises it when it is first used, and other tests count on it."""
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of whoever runs the tests play no part in them."""
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path_factory.getbasetemp() / "no-models"))
