"""A clock that is set does not take living fits from their hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daemon_samples import FakeChild, FakeClock, accept, all_events, settings_in

from daemon.host import Host
from daemon.identity import own_identity
from daemon.rescuer import PACE_SECONDS, RENEWAL_SECONDS, ClockWatch, Rescuer
from store import PlanStore
from store.database import connect
from store.errors import DatabaseUnavailable
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


def test_a_new_process_leaves_the_living_time_to_renew(store: PlanStore, clocks: Clocks) -> None:
    """The database was away for longer than a lease, and this one is the first to come after that."""
    (claim,) = store.claim("elsewhere", stage="cpu", lease_seconds=60.0)
    clocks.pass_by(120.0)
    rescuer = _new(store, clocks)
    assert rescuer.begin() == ()
    assert rescuer.is_waiting
    store.renew(claim)
    clocks.pass_by(RENEWAL_SECONDS)
    assert rescuer.rescue() == ()
    assert not rescuer.is_waiting
    assert store.reading.fit(claim.fit_id).state == "claimed"


def test_a_new_process_that_does_not_wait_is_found_out(
    store: PlanStore, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect planted: it begins like one that has seen how time passed."""
    monkeypatch.setattr(Rescuer, "begin", Rescuer.rescue)
    with pytest.raises(AssertionError):
        test_a_new_process_leaves_the_living_time_to_renew(store, clocks)


def test_a_new_process_takes_back_what_nobody_renewed(store: PlanStore, clocks: Clocks) -> None:
    """A moment later than it came; what the dead of this machine left, at once."""
    store.claim("elsewhere", stage="cpu", lease_seconds=60.0)
    clocks.pass_by(120.0)
    rescuer = _new(store, clocks)
    assert rescuer.begin() == ()
    clocks.pass_by(RENEWAL_SECONDS)
    assert [one.cause for one in rescuer.rescue()] == ["lease ran out"]
    gone = replace(own_identity(), pid=2**22 + 1)
    assert store.claim(gone.worker, stage="cpu")
    assert [one.cause for one in _new(store, clocks).begin()] == ["daemon gone"]


def _new(store: PlanStore, clocks: Clocks) -> Rescuer:
    rescuer = Rescuer(store, own_identity(), monotonic=clocks.monotonic)
    rescuer._clock = ClockWatch(clocks.micros, clocks.monotonic)
    return rescuer


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


def test_a_database_that_was_away_takes_no_fit_from_a_living_host(clocks: Clocks, store: PlanStore) -> None:
    """Nobody could renew meanwhile: whoever comes back first lets the others renew before it takes back."""
    (claim,) = store.claim("somebody else", stage="cpu", lease_seconds=30.0)
    rescuer, away = Rescuer(store, own_identity()), [False]

    def now() -> int:
        if away[0]:
            raise DatabaseUnavailable(url="postgresql://", cause="the server was started anew")
        return clocks.micros()

    rescuer._clock = ClockWatch(now, clocks.monotonic)
    assert rescuer.rescue() == ()
    away[0] = True
    assert rescuer.rescue() == ()
    clocks.pass_by(60.0)
    away[0] = False
    assert rescuer.rescue() == (), "the lease ran out while nobody could renew it"
    store.renew(claim)
    clocks.pass_by(RENEWAL_SECONDS + 0.1)
    assert rescuer.rescue() == ()
    clocks.pass_by(31.0)
    assert len(rescuer.rescue()) == 1, "it did not renew again"


def test_a_big_fleet_is_looked_at_less_often_and_no_move_is_forgotten(
    clocks: Clocks, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host asks less often the more there are; a move that came too soon is looked at later."""
    looks: list[float] = []
    everybody = frozenset(f"h{number}/b/n/1/2/m" for number in range(100))

    def leased() -> frozenset[str]:
        looks.append(clocks.monotonic())
        return everybody

    monkeypatch.setattr(store.reading, "leased_workers", leased)
    monkeypatch.setattr(type(store.reading), "is_shared", property(lambda _: True))
    rescuer = Rescuer(store, own_identity(), monotonic=clocks.monotonic)
    assert rescuer.pace() == 0.0, "nobody else is known yet"
    rescuer.look()
    rescuer.look()
    assert rescuer.pace() == 100 * PACE_SECONDS
    for _ in range(50):
        rescuer.look()
    assert len(looks) == 2
    clocks.pass_by(100 * PACE_SECONDS)
    rescuer.look(moved=False)
    assert len(looks) == 3
    clocks.pass_by(60.0)
    rescuer.look(moved=False)
    assert len(looks) == 3, "nothing moved since"
