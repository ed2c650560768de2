"""A plan whose panel is not here waits and says so, and goes on by itself when it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import FakeClock, accept, settings_in

from daemon.bell import Bell
from daemon.missing_panels import PANELS, MissingPanels
from daemon.timetable import Timetable
from store import PlanStore, open_store


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store with one plan whose panel d_1 lay nowhere."""
    with open_store(sqlite_url) as opened:
        accept(opened)
        yield opened


@pytest.fixture
def panels(store: PlanStore, tmp_path: Path) -> MissingPanels:
    """What looks after the panels of host h."""
    return MissingPanels(settings_in(tmp_path), store, Timetable(Bell(), clock=FakeClock()), "h")


def test_a_plan_without_its_panel_is_paused_on_this_host_alone(
    store: PlanStore, panels: MissingPanels
) -> None:
    """Once, with what is missing and what to do; elsewhere it may run."""
    panels.start()
    panels.turn(frozenset({PANELS}))
    (pause,) = store.reading.pauses()
    assert (pause.host, pause.stage, pause.actor) == ("h", None, "daemon@h")
    assert "hand the plan in again" in pause.reason
    assert store.claim("w", stage="cpu", host="h") == ()
    assert len(store.claim("w", stage="cpu", host="elsewhere")) == 1


def test_a_panel_that_comes_back_lifts_the_pause(
    store: PlanStore, panels: MissingPanels, tmp_path: Path
) -> None:
    """It lies in the cache of the results again, wherever it lay before."""
    panels.start()
    (tmp_path / "results" / "cache" / "panels" / "d_1").mkdir(parents=True)
    panels.turn(frozenset({"something else"}))
    assert store.reading.pauses()
    panels.turn(frozenset({PANELS}))
    assert store.reading.pauses() == ()


def test_a_pause_of_a_person_is_neither_doubled_nor_lifted(
    store: PlanStore, panels: MissingPanels, tmp_path: Path
) -> None:
    """Whoever paused the plan here has the last word on it."""
    (plan,) = store.reading.plans()
    store.pause(plan=plan.id, host="h", reason="wait for me", actor="ada")
    panels.start()
    (tmp_path / "results" / "cache" / "panels" / "d_1").mkdir(parents=True)
    panels.look()
    assert [pause.actor for pause in store.reading.pauses()] == ["ada"]


def test_a_plan_that_ended_meanwhile_waits_for_nothing(store: PlanStore, panels: MissingPanels) -> None:
    """Its pause goes with it."""
    panels.start()
    for fit in store.reading.fits():
        store.cancel(fit.id)
    panels.look()
    assert store.reading.pauses() == ()
