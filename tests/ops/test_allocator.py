"""What is freed stays with the process until it is given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gouache.ops import allocator

SCRIPT = """
import torch
from gouache.ops.allocator import give_back, keep_freed

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024

torch.ones(1)
kept = keep_freed()
before = resident()
torch.ones(50, 1 << 20)  # 200 MB
after = resident()
give_back()
given_back = resident() - before
keep_freed(False)
torch.ones(50, 1 << 20)
print(kept, after - before, given_back, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say")
def test_freed_memory_stays_until_it_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    kept, held, left, usual = done.stdout.split()
    if kept == "False":
        pytest.skip("another C library than glibc")
    assert int(held) > 150
    assert int(left) < 50
    assert int(usual) < 50  # as if nothing had been said


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert not allocator.keep_freed()
    assert allocator.keep_freed(False)
    allocator.give_back()
