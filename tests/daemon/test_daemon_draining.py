"""A host that drains claims nothing more, says so, and gives back what it runs where it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import accept, all_events, job
from dispatcher_stage import Stage
from structlog.testing import capture_logs

from daemon.dispatcher import Dispatcher
from daemon.draining import DRAINING, Draining
from daemon.host import Host
from executors.contract import Stopped
from store.host_events import DaemonStarted

RANG = frozenset({DRAINING})


class Drained:
    """A host with two places whose children are fakes, three fits to do, and its duty."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.store = stage, stage.store
        self.host = Host(stage.settings, self.store, dispatch=self._dispatcher)
        identity = self.host.identity
        self.name = identity.host
        self.store.daemon_started(
            DaemonStarted(worker=identity.worker, host=self.name, version="1", boot_id=identity.boot_id)
        )
        accept(self.store, *(job(["LightGBM"], target=f"y_{number}") for number in range(3)))
        self.draining = Draining(stage.settings, self.store, self.host, clock=stage.clock)
        self.draining.start()

    def _dispatcher(self, *given: Any, **more: Any) -> Dispatcher:
        return Dispatcher(*given, **more | {"begin": self.stage.begin, "clock": self.stage.clock})

    def turn(self) -> int:
        """Take a turn of the loop; how many fits are at work after it."""
        self.host.dispatcher.tick()
        self.draining.turn(RANG)
        return len(self.host.dispatcher.running)


@pytest.fixture
def drained(tmp_path: Path, sqlite_url: str) -> Iterator[Drained]:
    """A host before it drains."""
    stage = Stage(tmp_path, sqlite_url)
    made = Drained(stage)
    yield made
    made.host.close()
    stage.store.close()


def test_what_runs_goes_on_and_nothing_more_is_begun(drained: Drained) -> None:
    """The status counts down to the moment when the machine can be switched off."""
    assert drained.turn() == 2
    assert drained.draining.words is None
    drained.store.drain_host(drained.name, reason="a new disk")
    assert drained.turn() == 2
    assert drained.draining.words == "draining (a new disk): 2 fits to end"
    drained.stage.end_all()
    assert drained.turn() == 0
    assert drained.draining.words == "draining (a new disk): nothing runs here any more"
    drained.stage.clock.now += 10
    assert drained.turn() == 0
    assert len(all_events(drained.store, "FitClaimed")) == 2


def test_a_host_that_is_returned_claims_again_at_once(drained: Drained) -> None:
    """Nothing has to be restarted."""
    drained.store.drain_host(drained.name)
    assert drained.turn() == 0
    assert drained.draining.words == "draining: nothing runs here any more"
    drained.store.return_host(drained.name)
    drained.turn()
    assert drained.turn() == 2
    assert drained.draining.words is None


def test_the_claim_itself_refuses_before_the_host_has_looked(drained: Drained) -> None:
    """Between the word and the look nothing is claimed, so a host that looks late begins nothing either."""
    drained.store.drain_host(drained.name)
    drained.host.dispatcher.tick()
    assert not drained.host.dispatcher.is_draining
    assert drained.host.dispatcher.running == []


def test_what_runs_is_given_back_where_that_is_asked_for(drained: Drained) -> None:
    """Each fit saves its state and is given back once; one that does not is ended after a while."""
    drained.turn()
    drained.store.drain_host(drained.name, reason="a new disk", give_back=True)
    drained.turn()
    first, second = drained.stage.children
    assert (first.was_asked_to_stop, second.was_asked_to_stop) == (True, True)
    first.ends(Stopped(step=7))
    assert drained.turn() == 1
    (released,) = all_events(drained.store, "FitReleased")
    assert released.data["cause"] == "the host drains: a new disk"
    drained.stage.clock.now += drained.stage.settings.stop_seconds + 1
    assert drained.turn() == 0
    assert second.was_killed
    assert len(all_events(drained.store, "FitReleased")) == 2
    assert {fit.state for fit in drained.store.reading.fits()} == {"ready"}


def test_nothing_is_said_of_fits_that_stopped_in_time(drained: Drained) -> None:
    """A warning that no fit was ended is one that wakes somebody for nothing."""
    drained.turn()
    drained.store.drain_host(drained.name, give_back=True)
    drained.turn()
    for child in drained.stage.children:
        child.ends(Stopped(step=7))
    assert drained.turn() == 0
    drained.stage.clock.now += drained.stage.settings.stop_seconds + 1
    with capture_logs() as said:
        drained.turn()
    assert said == []


def test_that_all_is_given_back_may_be_asked_for_later(drained: Drained) -> None:
    """First it drains, then there is less time than was thought."""
    drained.turn()
    drained.store.drain_host(drained.name)
    drained.turn()
    assert not any(child.was_asked_to_stop for child in drained.stage.children)
    drained.store.drain_host(drained.name, give_back=True)
    drained.turn()
    assert all(child.was_asked_to_stop for child in drained.stage.children)


def test_a_start_of_a_host_that_drains_changes_nothing(drained: Drained) -> None:
    """Who switches a machine off and on again has not said that it may claim."""
    drained.store.drain_host(drained.name, reason="for good")
    again = Draining(drained.stage.settings, drained.store, drained.host)
    again.start()
    assert again.words == "draining (for good): nothing runs here any more"
    assert drained.host.dispatcher.is_draining


def test_a_removed_host_says_what_brings_it_back(drained: Drained) -> None:
    """It was taken for dead and is not: its fits are others', and it claims none until its next start."""
    drained.turn()
    drained.store.remove_host(drained.name, force=True)
    assert drained.turn() == 0
    assert drained.draining.words == (
        "removed from the event log: it claims nothing until its daemon is started again"
    )
    assert len(all_events(drained.store, "FitClaimed")) == 2


def test_a_quiet_log_is_not_asked(drained: Drained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when something happened in it can the host have begun to drain."""
    drained.draining.turn(RANG)
    monkeypatch.setattr(type(drained.store.reading), "host", lambda *_: pytest.fail("it was asked"))
    drained.draining.turn(RANG)
    drained.draining.turn(frozenset())
