"""A clock that is set does not take living fits from their hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daemon_samples import FakeChild, FakeClock, accept, all_events, settings_in

from daemon.host import Host
from daemon.identity import own_identity
from daemon.rescuer import RENEWAL_SECONDS, ClockWatch, Rescuer
from store import PlanStore
from store.database import connect
from store.schema import upgrade


@dataclass(slots=True)
class Clocks:
    """The database's clock and ours, both moved by hand."""

    told: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    ours: FakeClock = field(default_factory=FakeClock)

    def database(self) -> datetime:
        """What the store is told."""
        return self.told

    def micros(self) -> int:
        """The same in microseconds."""
        return round(self.told.timestamp() * 1e6)

    def monotonic(self) -> float:
        """Ours."""
        return self.ours()

    def pass_by(self, seconds: float) -> None:
        """Time passes for both."""
        self.told += timedelta(seconds=seconds)
        self.ours.now += seconds

    def is_set(self, seconds: float) -> None:
        """Somebody sets the database's clock."""
        self.told += timedelta(seconds=seconds)


@pytest.fixture
def clocks() -> Clocks:
    """Both clocks."""
    return Clocks()


@pytest.fixture
def store(tmp_path: Path, clocks: Clocks) -> Iterator[PlanStore]:
    """A store by the clock of the test, with one fit."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    upgrade(url)
    opened = PlanStore(connect(url), clock=clocks.database)
    accept(opened)
    yield opened
    opened.close()


@pytest.fixture
def host(store: PlanStore, clocks: Clocks, tmp_path: Path) -> Iterator[Host]:
    """A host at work on it, whose rescuer goes by both clocks."""
    made = Host(settings_in(tmp_path, lease_seconds=30.0), store, clock=clocks.monotonic)
    made.dispatcher._begin = lambda _spec, _places: FakeChild()
    made.rescuer._clock = ClockWatch(clocks.micros, clocks.monotonic)
    made.turn()
    assert made.dispatcher.running
    yield made
    made.close()


@pytest.mark.parametrize("seconds", [7200.0, -3600.0, 31.0])
def test_a_clock_that_is_set_takes_no_fit_from_its_host(
    host: Host, clocks: Clocks, store: PlanStore, seconds: float
) -> None:
    """Two hours forth or one back: the rescuer waits until the lease was renewed by the new clock."""
    host.rescuer.rescue()
    for _ in range(8):
        clocks.pass_by(2.0)
        clocks.is_set(seconds)
        seconds = 0.0
        host.rescuer.rescue()
        host.turn()
    assert not all_events(store, "LeaseExpired")
    assert host.dispatcher.running


def test_without_the_watch_the_host_would_take_its_own_fit_back(
    host: Host, clocks: Clocks, store: PlanStore
) -> None:
    """The defect, planted: a rescuer that trusts the clock is found out."""
    host.rescuer._clock = ClockWatch(lambda: round(clocks.ours() * 1e6), clocks.monotonic)
    host.rescuer.rescue()
    clocks.pass_by(2.0)
    clocks.is_set(7200.0)
    host.rescuer.rescue()
    assert all_events(store, "LeaseExpired")


def test_a_lease_that_runs_out_is_taken_back_all_the_same(clocks: Clocks, store: PlanStore) -> None:
    """Time that passes on both clocks is no jump, however long."""
    store.claim("somebody else", stage="cpu", lease_seconds=30.0)
    rescuer = Rescuer(store, own_identity())
    rescuer._clock = ClockWatch(clocks.micros, clocks.monotonic)
    rescuer.rescue()
    clocks.pass_by(3600.0)
    assert [one.cause for one in rescuer.rescue()] == ["lease ran out"]


def test_after_a_jump_the_rescuer_goes_on_soon(clocks: Clocks, store: PlanStore) -> None:
    """Whoever has not renewed by then is gone."""
    store.claim("somebody else", stage="cpu", lease_seconds=30.0)
    rescuer = Rescuer(store, own_identity())
    rescuer._clock = ClockWatch(clocks.micros, clocks.monotonic)
    rescuer.rescue()
    clocks.is_set(7200.0)
    assert rescuer.rescue() == ()
    clocks.pass_by(RENEWAL_SECONDS + 0.1)
    assert len(rescuer.rescue()) == 1
