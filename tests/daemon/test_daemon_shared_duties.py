"""What one of several hosts does for all of them is done once, and by the next one when that one is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from daemon_samples import FakeClock, settings_in
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of

from daemon import schedule as schedule_module
from daemon import schedule_state
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
from store.errors import DatabaseUnavailable
from store.host_events import DaemonStarted
from store.residence import Residence, take_residence
from store.seals import read_seals, seal_log

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
SAFE = {"safe": {"cron": "30 2 * * *", "do": "backup"}}
CUT = b"""
SELECT pg_terminate_backend(pid, 60000) FROM (
  SELECT pid FROM pg_stat_activity
  WHERE application_name LIKE 'pid %' AND datname = current_database()) AS found
"""


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
        self.settings = settings_in(folder / name, schedule=SAFE, time_zone="UTC", database_url=url)
        self.worker = f"{name}/boot/4/7/1/"
        self.started = DaemonStarted(worker=self.worker, host=name, version="1", boot_id="boot")
        self.clock = FakeClock()
        sharing = Sharing(store=store, residence=self.place, host=name, worker=self.worker, clock=self.clock)
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


@pytest.fixture
def parted(
    tmp_path: Path, postgres_url: str, errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Host, Host, PlanStore]]:
    """Two daemons: one was at an entry when the server was started anew, the other came back first."""
    monkeypatch.setattr(postgres_residence, "LOOK_SECONDS", 0.0)
    with open_store(postgres_url) as store:
        first, second = (Host(tmp_path, name, store, postgres_url) for name in ("alpha", "beta"))
        store.daemon_started(first.started)
        store.beat("alpha", first.worker)
        for host in (first, second):
            host.at(NIGHT)
        assert errands.begun == ["alpha"]
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(CUT)
        yield first, second, store
        for host in (first, second):
            host.die()
            host.bell.close()


def test_a_run_goes_on_alone_though_the_server_let_go_of_its_duty(
    parted: tuple[Host, Host, PlanStore], errands: Errands
) -> None:
    """The other host has the lock and sees that the daemon lives: it waits, and lets go of the duty."""
    first, second, _ = parted
    for seconds in range(60):
        second.clock.now += 1
        second.at(NIGHT + timedelta(seconds=seconds))
    first.at(NIGHT + timedelta(minutes=1))
    assert not second.place.has("schedule safe")
    errands.ends_with = Ended(code=0)
    first.at(NIGHT + timedelta(minutes=2))
    first.die()
    while not second.place.has("schedule safe"):  # the server hears of it in a moment
        pass
    second.at(NIGHT + timedelta(minutes=3))
    assert errands.begun == ["alpha"]


def test_a_run_whose_daemon_is_gone_is_done_again(
    parted: tuple[Host, Host, PlanStore], errands: Errands
) -> None:
    """Its machine has another daemon since, which is at nothing: the other host begins at once."""
    first, second, store = parted
    store.daemon_started(replace(first.started, worker="alpha/boot/4/8/2/"))
    until_taken(second, NIGHT + timedelta(minutes=1), errands, 2)
    assert errands.begun == ["alpha", "beta"]


def test_a_run_whose_daemon_fell_silent_is_done_again(
    parted: tuple[Host, Host, PlanStore], errands: Errands
) -> None:
    """No sign of life for long, and none while the other host looked for it."""
    _, second, _ = parted
    with psycopg.connect(second.settings.database_url, autocommit=True) as connection:
        connection.execute("UPDATE beat SET at = at - 31000000")
    second.at(NIGHT)
    second.clock.now += schedule_state.WATCH_SECONDS - 1
    second.at(NIGHT)
    assert errands.begun == ["alpha"]
    second.clock.now += 2
    until_taken(second, NIGHT + timedelta(minutes=1), errands, 2)


def test_the_hosts_catch_a_schedule_that_believes_in_the_lock_alone(
    parted: tuple[Host, Host, PlanStore], errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect planted: who has the duty begins, and the entry is done twice at one time."""
    monkeypatch.setattr(Sharing, "is_at_work", lambda *_: False)
    with pytest.raises(AssertionError):
        test_a_run_goes_on_alone_though_the_server_let_go_of_its_duty(parted, errands)


def test_what_is_due_while_the_log_does_not_answer_stays_due(
    hosts: tuple[Host, Host], errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a night would be left out for a moment's silence."""
    first = hosts[0]
    with monkeypatch.context() as patch:
        patch.setattr(Sharing, "learn", _silent)
        with pytest.raises(DatabaseUnavailable):
            first.at(NIGHT)
    first.at(NIGHT + timedelta(seconds=1))
    assert errands.begun == ["alpha"]


def _silent(*_: object) -> dict[str, Any]:
    raise DatabaseUnavailable(url="postgresql://", cause="no answer")


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
