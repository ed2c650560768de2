"""A report made by a process of its own, and kept until something more happens to the plan."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import lru_cache

from daemon.errors import DaemonError
from daemon.report.material import KINDS
from store.reading import Reader

SECONDS_MAX = 120.0
SECONDS_WAIT = 20.0
KEPT_MAX = 4
_AT_ONCE = threading.BoundedSemaphore(2)  # processes: looking at reports shall not take the host's cores


class NotReported(DaemonError):
    """The process that makes the report did not answer."""

    exit_code = 75


def report_apart(reader: Reader, url: str, plan_id: str) -> bytes:
    """Return the report on a plan of the log at `url`, as HTML in UTF-8; made anew when its fits moved on.

    Raises:
        NotFound: the log knows no such plan.
        NotReported: it took too long, or failed, or others are before it.
    """
    reader.plan_row(plan_id)
    of_plan = reader.newest_events(KINDS, plan=plan_id, limit=1)
    named = reader.newest_events(("ModelPromoted",), limit=1)
    newest = max((event.seq for event in (*of_plan, *named)), default=0)
    if not _AT_ONCE.acquire(timeout=SECONDS_WAIT):
        raise NotReported("other reports are being made", where=plan_id, fix="try again in a minute")
    try:
        return _made(url, plan_id, newest)
    finally:
        _AT_ONCE.release()


@lru_cache(maxsize=KEPT_MAX)
def _made(url: str, plan_id: str, _seq: int) -> bytes:
    """The report as it was when `_seq` was the last event that changes it."""
    fix = f"trainwright report {plan_id}"
    try:
        # The address goes by the input: it may hold a password, and everybody sees arguments.
        told = subprocess.run(
            [sys.executable, "-P", "-m", "daemon.report.process"],
            input=json.dumps([url, plan_id]).encode(),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        message = f"the report took more than {SECONDS_MAX:.0f} s"
        raise NotReported(message, where=plan_id, fix=fix) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise NotReported(
            "the report could not be made", where=lines[-1] if lines else plan_id, fix=fix
        ) from error
    return told.stdout
