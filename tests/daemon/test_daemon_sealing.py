"""The daemon seals its log: while it works, at its stop, and never at the price of its work."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of

from daemon import sealing
from daemon.sealing import Sealer
from store import open_store
from store.events import RouteChosen
from store.seals import read_seals

ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")


@pytest.fixture
def finished(sqlite_url: str) -> str:
    """A log with a finished plan and one event behind it."""
    with open_store(sqlite_url) as store:
        store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="test", name="one")
        claim = store.claim("w", stage="cpu")[0]
        store.started(claim, STARTED)
        store.succeeded(claim, SUCCEEDED)
        store.record("n_1", [ROUTE])
    return sqlite_url


def test_a_finished_plan_is_sealed_in_the_background_and_the_rest_at_the_stop(
    finished: str, tmp_path: Path
) -> None:
    """Begin seals up to the end of the plan; close seals the last event too."""
    sealer = Sealer(finished, tmp_path)
    sealer.seal()
    assert [one.last_seq for one in read_seals(sealer.path)] == [6]
    sealer.begin()
    sealer.stop()
    assert [one.last_seq for one in read_seals(sealer.path)] == [6, 7]
    assert sealer.path == tmp_path / "seals" / "trainwright.jsonl"


def test_what_is_wrong_is_logged_and_stops_nothing(
    finished: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of seals that cannot be read, or a folder that cannot be made, is an error in the log."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(sealing.log, "error", lambda _, **about: said.append(about), raising=False)
    sealer = Sealer(finished, tmp_path)
    sealer.path.parent.mkdir()
    sealer.path.write_text("no seal\n")
    sealer.seal()
    (tmp_path / "file").write_text("")
    Sealer(finished, tmp_path / "file").seal()
    assert "line 1 of the seals" in said[0]["cause"]
    assert "cannot be read or written" in said[1]["cause"]


def test_a_sealing_that_takes_long_is_waited_for_by_nobody(
    finished: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is at it a second ring begins none, and the stop gives up after its few seconds."""
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def slow(*_: object, **__: object) -> tuple[()]:
        calls.append(1)
        begun.set()
        go_on.wait(60)
        return ()

    monkeypatch.setattr(sealing, "seal_log", slow)
    monkeypatch.setattr(sealing, "CLOSING_SECONDS", 0.01)
    sealer = Sealer(finished, tmp_path)
    sealer.begin()
    assert begun.wait(60)
    sealer.begin()
    sealer.stop()
    assert len(calls) == 1
    go_on.set()
