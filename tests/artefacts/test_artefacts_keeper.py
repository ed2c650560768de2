"""What a host's keeper sees to: panels for all, one fetch for a machine, and nothing left behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from artefact_samples import content, made
from daemon_samples import FakeChild, FakeClock, accept, await_that, settings_in

from daemon.artefacts import checkpoint_key, opened, panel_key
from daemon.artefacts.fetching import PATIENCE_SECONDS
from daemon.artefacts.keeper import ASK_AGAIN_SECONDS, Keeper
from daemon.artefacts.mover import Mover
from daemon.artefacts.sets import DRAFT, DRAFT_SECONDS, Artefacts
from daemon.bell import Bell
from daemon.missing_panels import PANELS, MissingPanels
from daemon.timetable import Timetable
from store import open_store

Place = tuple[str, dict[str, Any]]
STATES = {"f_1": "succeeded", "f_2": "running"}


@pytest.fixture
def clock() -> FakeClock:
    """The keeper's clock."""
    return FakeClock()


@pytest.fixture
def keeper(shared: Place, tmp_path: Path, clock: FakeClock) -> Iterator[Keeper]:
    """A keeper over a log that knows two fits."""
    log: Any = SimpleNamespace(reading=SimpleNamespace(states=lambda ids: STATES))
    mover = Mover(*shared)
    yield Keeper(settings_in(tmp_path), log, mover, lambda _spec, _places: FakeChild(), clock=clock)
    mover.close()


def settled(keeper: Keeper) -> bool:
    """Whether nothing is on its way."""
    keeper.mover.hear()
    return keeper.mover.waiting == 0


def test_a_panel_that_is_here_is_there_for_all(keeper: Keeper, shared: Place, tmp_path: Path) -> None:
    """It is offered once, however often it is looked at; another host fetches it."""
    source = made(tmp_path / "panel")
    for _ in range(3):
        keeper.offer_panel("d_1", source)
    assert keeper.mover.waiting == 1
    await_that(lambda: settled(keeper), "put")
    keeper.fetch_panel("d_1")
    await_that(lambda: settled(keeper), "fetch")
    assert content(tmp_path / "results" / "cache" / "panels" / "d_1") == content(source)


def test_a_panel_that_comes_late_is_waited_for_before_anything_is_paused(
    keeper: Keeper, shared: Place, tmp_path: Path, sqlite_url: str, clock: FakeClock
) -> None:
    """The host that has it may be putting it there just now; only after a while the plan is paused here."""
    with open_store(sqlite_url) as log:
        accept(log)
        timetable = Timetable(Bell(), clock=clock)
        panels = MissingPanels(settings_in(tmp_path), log, timetable, "h", keeper=keeper)
        panels.start()
        await_that(lambda: settled(keeper), "first question")
        panels.look()
        assert log.reading.pauses() == ()
        clock.now += PATIENCE_SECONDS + 1
        panels.look()  # asks again, and the answer is the same
        await_that(lambda: settled(keeper), "second question")
        panels.look()
        (pause,) = log.reading.pauses()
        assert "cannot be fetched" in pause.reason
        opened(*shared).put(panel_key("d_1"), made(tmp_path / "panel"))
        clock.now += ASK_AGAIN_SECONDS
        panels.look()
        await_that(lambda: settled(keeper), "third question")
        panels.turn(frozenset({PANELS}))
        assert log.reading.pauses() == ()


def test_states_of_fits_that_succeeded_are_swept_from_the_place(
    keeper: Keeper, shared: Place, tmp_path: Path
) -> None:
    """A host that died between its last word and the tidying left them; others' are left alone."""
    artefacts, state = opened(*shared), made(tmp_path / "state")
    for fit in ("f_1", "f_2", "f_3"):
        artefacts.put(checkpoint_key("p_1", fit, 3, 10), state)
    for _ in range(2):
        keeper.tidy()
        await_that(lambda: settled(keeper), "tidying")
    assert [artefacts.states("p_1", fit) for fit in ("f_1", "f_2", "f_3")] == [[], [(3, 10)], [(3, 10)]]


def test_what_was_fetched_by_half_long_ago_is_swept_at_the_start(keeper: Keeper, tmp_path: Path) -> None:
    """What somebody may be fetching now stays."""
    panels = tmp_path / "results" / "cache" / "panels"
    old, new = made(panels / f".d_1{DRAFT}a"), made(panels / f".d_1{DRAFT}b")
    os.utime(old, (0, old.stat().st_mtime - DRAFT_SECONDS - 1))
    keeper.start()
    assert (old.exists(), new.exists()) == (False, True)


def test_of_many_that_ask_at_once_one_fetches(shared: Place, tmp_path: Path) -> None:
    """A panel is placed once on a machine, whoever asks; the others wait for it."""
    opened(*shared).put(panel_key("d_1"), made(tmp_path / "panel"))
    fetched = []

    class Counting(Artefacts):
        def get(self, key: str, into: Path) -> None:
            fetched.append(key)
            super().get(key, into)

    def fetch() -> None:
        Counting(opened(*shared)._objects).get_once(panel_key("d_1"), tmp_path / "here" / "d_1")

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1
    assert content(tmp_path / "here" / "d_1") == content(tmp_path / "panel")
