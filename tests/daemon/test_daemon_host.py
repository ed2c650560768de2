"""A host stops its fits within the limit, and at once when it is told twice."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import FakeChild, accept, all_events, settings_in

from daemon.host import Host
from daemon.timetable import RESCUE
from executors.contract import Stopped
from store import PlanStore, open_store


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store with one plan of one fit."""
    with open_store(sqlite_url) as opened:
        accept(opened)
        yield opened


@pytest.fixture
def child() -> FakeChild:
    """The one fake child."""
    return FakeChild()


@pytest.fixture
def host(store: PlanStore, child: FakeChild, tmp_path: Path) -> Iterator[Host]:
    """A host whose fit is running."""
    made = Host(settings_in(tmp_path, stop_seconds=0.2), store)
    made.dispatcher._begin = lambda _spec, _places: child
    made.start()
    made.turn()
    assert len(made.dispatcher.running) == 1
    yield made
    made.close()


def test_a_fit_that_saves_in_time_is_not_ended(host: Host, child: FakeChild, store: PlanStore) -> None:
    """Asked to stop, a fit that does is given back with the step it saved."""
    child.stop = lambda: child.ends(Stopped(step=4))  # type: ignore[method-assign]
    host.stop("shutdown")
    assert not child.was_killed
    assert all_events(store, "FitReleased")[0].data == {"cause": "shutdown", "step": 4}


def test_a_fit_that_does_not_stop_is_ended_after_the_limit(
    host: Host, child: FakeChild, store: PlanStore
) -> None:
    """After the limit the child is ended and its fit is given back all the same."""
    host.stop("shutdown")
    assert child.was_asked_to_stop
    assert child.was_killed
    assert store.reading.fits()[0].state == "ready"


def test_a_second_signal_ends_the_waiting(store: PlanStore, child: FakeChild, tmp_path: Path) -> None:
    """Told twice, the host does not wait for fits that could take an hour to save."""
    patient = Host(settings_in(tmp_path, stop_seconds=3600), store)
    patient.dispatcher._begin = lambda _spec, _places: child
    with patient.minding_signals():
        patient.turn()
        os.kill(os.getpid(), signal.SIGTERM)
        patient.turn()
        assert patient.stopping == "stopped by SIGTERM"
        child.stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[method-assign]
        patient.stop(patient.stopping)
    assert child.was_killed
    patient.close()


def test_signals_are_minded_inside_only(host: Host) -> None:
    """Afterwards the signals mean what they meant before."""
    before = signal.getsignal(signal.SIGTERM)
    with host.minding_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_rang_for_others_is_handed_on(host: Host) -> None:
    """A turn hears everything and returns what is not the host's own."""
    host.bell.ring("rescan")
    host.bell.ring("rescue")
    assert host.turn() == {"rescan"}


def test_a_stop_is_heard_whatever_else_fails_in_that_moment(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look after lost leases that ends in an error takes no signal with it."""

    def failing(*_words: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(host.rescuer, "rescue", failing)
    host.bell.ring(RESCUE)
    host.bell.ring("SIGTERM")
    with pytest.raises(OSError, match="Too many"):
        host.heard()
    assert host.stopping == "stopped by SIGTERM"


def test_a_turn_gives_signs_of_life_between_questions_that_may_take_long(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for a silent database as long as it is borne: two are more than the watchdog bears."""
    done: list[str] = []
    host.dispatcher.beat = lambda: done.append("beat")
    monkeypatch.setattr(host, "heard", lambda: done.append("heard") or frozenset())
    monkeypatch.setattr(host.rescuer, "hear", lambda: done.append("hear"))
    monkeypatch.setattr(host.dispatcher, "tick", lambda: done.append("tick"))
    host.turn()
    assert done == ["beat", "heard", "beat", "hear", "beat", "tick", "beat"]
