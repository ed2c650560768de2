"""What this machine lacks for a fault that needs more than an ordinary process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaigns import search_path

_CAP_SYS_ADMIN = 21


def absent(*needs: str) -> str | None:
    """What is missing here to cut the power of a file system of our own, or None."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    if not int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1:
        return "no right to mount (CAP_SYS_ADMIN)"
    for need in needs:
        if not (Path(need).exists() if need.startswith("/") else shutil.which(need, path=search_path())):
            return f"{need} is not here"
    return None


def missing(*needs: str) -> pytest.MarkDecorator:
    """A skip that says what is absent."""
    reason = absent(*needs)
    return pytest.mark.skipif(reason is not None, reason=reason or "")
