"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from panel import memory

HOARD = """
import numpy as np
from panel.memory import give_back_memory
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) // 1024
blocks = [np.ones(10_000) for _ in range(1_500)]
kept = blocks[::50]
del blocks
held = anonymous()
give_back_memory()
print(held - anonymous())
"""


def test_what_many_small_arrays_took_is_handed_back() -> None:
    """A hundred megabytes in small blocks, a few of them still in use, leave the process."""
    done = subprocess.run([sys.executable, "-c", HOARD], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such function nothing happens."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.give_back_memory()
