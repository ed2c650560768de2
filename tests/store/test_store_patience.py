"""A process that was told to stop bears the silence of a database for a moment only."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import patience
from store.patience import HURRY_SECONDS, PATIENCE, Patience
from store.sqlite_database import _begin


@pytest.fixture(autouse=True)
def _at_rest() -> Iterator[None]:
    yield
    PATIENCE.rest()


def test_patience_is_as_usual_until_there_is_a_hurry() -> None:
    """Then it is short, and after a silence there is none."""
    one = Patience()
    one.lost()
    assert (one.seconds(30.0), one.is_over) == (30.0, False)
    one.hurry()
    assert (one.seconds(30.0), one.seconds(1.0)) == (HURRY_SECONDS, 1.0)
    one.lost()
    assert (one.seconds(30.0), one.is_over) == (0.0, True)
    one.rest()
    assert one.seconds(30.0) == 30.0


def test_a_hurry_ends_the_wait_that_goes_on_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while another writer holds a SQLite file shortens that very wait."""
    monkeypatch.setattr(patience, "HURRY_SECONDS", 0.05)
    path = tmp_path / "x.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waiter = sqlite3.connect(path, isolation_level=None, timeout=0)
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: PATIENCE.hurry())
    began_at = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            _begin(waiter, "BEGIN IMMEDIATE")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began_at < 25.0, "not the usual half minute"
    assert PATIENCE.is_over
    waiter.close()
    holder.close()
