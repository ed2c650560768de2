"""What one of several hosts does for all of them is done once, and by the next one when that one is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import FakeClock, settings_in
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of

from daemon import schedule as schedule_module
from daemon.bell import Bell
from daemon.errands import Ended
from daemon.schedule import Schedule
from daemon.schedule_state import Sharing
from daemon.sealing import Sealer
from daemon.timetable import SEAL
from daemon.tracking import Tracking
from daemon.views.schedules import schedule_rows
from executors.lives import OwnProcess
from store import PlanStore, open_store, postgres_residence, residence
from store.residence import Residence, take_residence
from store.seals import read_seals, seal_log

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
SAFE = {"safe": {"cron": "30 2 * * *", "do": "backup"}}


class Errands:
    """What was begun by whom, none of it real, each ended when a test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ends_with: Ended | None = None

    def __call__(self, _steps: object, *, log: Path, **_about: Any) -> Errands:
        self.begun.append(log.parts[-4])
        return self

    def ended(self) -> Ended | None:
        """How it ended."""
        return self.ends_with

    def kill(self) -> None:
        """It goes with its daemon."""


class Host:
    """A host with a place on the log and a schedule, under a clock that a test moves."""

    def __init__(self, folder: Path, name: str, store: PlanStore, url: str) -> None:
        self.place: Residence = take_residence(url, name, holder=f"pid 7 on {name}")
        self.now, self.bell = NOON, Bell()
        self.settings = settings_in(folder / name, schedule=SAFE, time_zone="UTC")
        sharing = Sharing(store=store, residence=self.place, host=name)
        self.schedule = Schedule(self.settings, self.bell, sharing=sharing, environ={}, now=lambda: self.now)
        self.schedule.start()

    def at(self, moment: datetime) -> None:
        """Let the loop turn at a moment."""
        self.now = moment
        assert self.place.is_held()
        self.schedule.turn(frozenset())

    def die(self) -> None:
        """End without a word."""
        self.place.close()


@pytest.fixture
def errands(monkeypatch: pytest.MonkeyPatch) -> Errands:
    """The errands of all hosts."""
    found = Errands()
    monkeypatch.setattr(schedule_module, "Errand", found)
    monkeypatch.setattr(residence, "DUTY_SECONDS", 0.0)
    monkeypatch.setattr(postgres_residence, "DUTY_SECONDS", 0.0)
    return found


@pytest.fixture
def hosts(tmp_path: Path, database_url: str, errands: Errands) -> Iterator[tuple[Host, Host]]:
    """Two hosts with the same entry on one log, at noon."""
    with open_store(database_url) as store:
        found = tuple(Host(tmp_path, name, store, database_url) for name in ("alpha", "beta"))
        yield found[0], found[1]
        for host in found:
            host.die()
            host.bell.close()


def until_taken(host: Host, moment: datetime, errands: Errands, count: int) -> None:
    """Let a host turn until it has begun what the other left: a server hears of an end in a moment."""
    while len(errands.begun) < count:
        host.at(moment)


def test_an_entry_of_several_hosts_is_done_by_one(hosts: tuple[Host, Host], errands: Errands) -> None:
    """Night after night by the same host, while the other one looks on; both show the last run."""
    second = hosts[1]
    for night in range(3):
        for host in hosts:
            host.at(NIGHT + timedelta(days=night))
        errands.ends_with = Ended(code=0)
        for host in hosts:
            host.at(NIGHT + timedelta(days=night, minutes=5))
        errands.ends_with = None
    assert errands.begun == ["alpha"] * 3
    sharing = second.schedule._sharing
    assert sharing is not None
    (row,) = schedule_rows(second.settings, sharing.store.reading)
    assert (row["host"], row["outcome"], row["last"]) == ("alpha", "done", NIGHT + timedelta(days=2))


def test_what_a_dead_host_had_begun_is_done_by_the_next_one(
    hosts: tuple[Host, Host], errands: Errands
) -> None:
    """Its backup died with it; the other one takes the duty and begins again, though it was due before."""
    first, second = hosts
    for host in hosts:
        host.at(NIGHT)
    first.die()
    until_taken(second, NIGHT + timedelta(minutes=1), errands, 2)
    assert errands.begun == ["alpha", "beta"]
    second.at(NIGHT + timedelta(minutes=2))
    assert len(errands.begun) == 2


def test_what_the_dead_host_had_ended_is_not_done_again(hosts: tuple[Host, Host], errands: Errands) -> None:
    """The next one waits for the next time; so the bookmark with the log is what counts."""
    first, second = hosts
    for host in hosts:
        host.at(NIGHT)
    errands.ends_with = Ended(code=0)
    first.at(NIGHT + timedelta(minutes=1))
    first.die()
    while not second.place.has("schedule safe"):  # the server hears of it in a moment
        pass
    errands.ends_with = None
    second.at(NIGHT + timedelta(minutes=2))
    assert errands.begun == ["alpha"]
    second.at(NIGHT + timedelta(days=1))
    assert errands.begun == ["alpha", "beta"]


def test_the_hosts_catch_a_schedule_that_forgets_what_others_did(
    hosts: tuple[Host, Host], errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect planted: each host goes by what it did itself."""
    monkeypatch.setattr(Schedule, "_was_done_elsewhere", lambda *_: False)
    with pytest.raises(AssertionError):
        test_what_the_dead_host_had_ended_is_not_done_again(hosts, errands)


def test_one_host_seals_and_every_host_keeps_the_seals(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has them beside its own results, as a witness of its own; a host that comes later too."""
    monkeypatch.setattr(residence, "DUTY_SECONDS", 0.0)
    monkeypatch.setattr(postgres_residence, "DUTY_SECONDS", 0.0)
    with open_store(database_url) as store:
        store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="test", name="one")
        claim = store.claim("w", stage="cpu")[0]
        store.started(claim, STARTED)
        store.succeeded(claim, SUCCEEDED)
        places = [take_residence(database_url, name, holder=name) for name in "ab"]
        made: list[object] = []
        monkeypatch.setattr("daemon.sealing.seal_log", _counting(made))
        sealers = [
            Sealer(database_url, tmp_path / name, residence=place)
            for name, place in zip("ab", places, strict=True)
        ]
        for sealer in sealers:
            sealer.turn(frozenset({SEAL}))
            assert sealer._thread is not None
            sealer._thread.join()
        assert len(made) == 1
        assert [len(read_seals(sealer.path)) for sealer in sealers] == [1, 1]
        for place in places:
            place.close()


def _counting(made: list[object]) -> Any:
    def counted(*words: Any, **more: Any) -> object:
        made.append(words)
        return seal_log(*words, **more)

    return counted


class Life(OwnProcess):
    """A tracking process that ends when it is told to."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def code(self) -> int | None:
        """Return 0 once it was told to end."""
        return 0 if self.signals else None

    def kill(self) -> None:
        """End at once."""
        self.signals.append(9)

    def signal(self, number: int) -> None:
        """Hear a signal."""
        self.signals.append(number)

    def awaited(self, seconds: float) -> int | None:
        """Return how it ended."""
        return self.code()


def test_one_host_tracks_and_lets_the_next_one_when_it_has_lost_the_duty(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes would tell the same runs; one that lost its place is told to end."""
    monkeypatch.setattr(residence, "DUTY_SECONDS", 0.0)
    settings, clock = settings_in(tmp_path, mlflow_uri="http://127.0.0.1:5000"), FakeClock()
    lives: list[Life] = []

    def start(*_words: object) -> OwnProcess:
        lives.append(Life())
        return lives[-1]

    places = [take_residence(sqlite_url, name, holder=name) for name in "ab"]
    first, second = (
        Tracking(settings, residence=place, clock=clock, start=start, is_installed=lambda: True)
        for place in places
    )
    for _ in range(3):
        first.turn(frozenset())
        second.turn(frozenset())
    assert len(lives) == 1
    places[0].close()
    for _ in range(3):
        first.turn(frozenset())
        second.turn(frozenset())
    assert (len(lives), bool(lives[0].signals), lives[1].signals) == (2, True, [])
    first.close()
    second.close()
    places[1].close()
