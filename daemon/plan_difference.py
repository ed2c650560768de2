"""How two accepted plans differ, told by a process of its own: comparing loads what the page must not hold.

Plans never change, so what was found once is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from typing import Any

from daemon.errors import DaemonError
from store.reading import open_reader

SECONDS_MAX = 60.0
KEPT_MAX = 32


class NotCompared(DaemonError):
    """The process that compares did not answer."""

    exit_code = 75


@lru_cache(maxsize=KEPT_MAX)
def plan_difference(url: str, before: str, after: str) -> dict[str, Any]:
    """Return the document of ``plan diff --json`` for two plans of the log at `url`.

    Raises:
        NotFound: the log knows no such plan.
        NotCompared: the comparing took too long, or failed.
    """
    with open_reader(url) as reader:
        for plan in (before, after):
            reader.plan_row(plan)
    command = [sys.executable, "-m", "daemon.plan_difference_process"]
    try:
        # The address goes by the input: it may hold a password, and everybody sees arguments.
        told = subprocess.run(
            command,
            input=json.dumps([url, before, after]),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=True,
            text=True,
            encoding="utf-8",
        )
    except subprocess.TimeoutExpired as error:
        raise NotCompared(
            f"comparing took more than {SECONDS_MAX:.0f} s",
            where=f"{before} and {after}",
            fix=f"trainwright plan diff {before} {after}",
        ) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        raise NotCompared(
            "the plans could not be compared", where=lines[-1] if lines else "", fix="try again"
        ) from error
    document: dict[str, Any] = json.loads(told.stdout)
    return document
