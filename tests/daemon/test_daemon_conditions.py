"""The host holds work back by itself: little disk, closed windows, plans that only fail; people overrule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import accept, all_events, document, job, settings_in, write_data
from store_samples import SUCCEEDED

from daemon.bell import Bell
from daemon.conditions import CONDITIONS, Conditions
from daemon.disk_floor import DiskFloor, free_bytes, places_of
from daemon.holding import actor_of, lift_leftovers
from daemon.identity import own_identity
from daemon.pileups import Pileups
from daemon.service import drain, submit_plan
from daemon.timetable import Timetable
from store import PlanStore, open_store, waiting
from store.events import DaemonStarted, DaemonStopped
from store.records import Failure, PauseRow

HOST = own_identity().host
GB = 1_000_000_000


class Place:
    """A host whose disk, clock and settings a test decides."""

    def __init__(self, directory: Path, store: PlanStore) -> None:
        self.directory, self.store = directory, store
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
        self.free = {"": 100 * GB}

    def conditions(self, **settings: Any) -> Conditions:
        """The conditions of a daemon that has just started there."""
        given = settings_in(self.directory, time_zone="UTC", **settings)
        made = Conditions(
            given, self.store, Timetable(Bell()), HOST, now=lambda: self.now, free=self.free_bytes
        )
        made.start()
        return made

    def free_bytes(self, path: Path) -> int | None:
        """The space at a path: of its own, or as everywhere."""
        return self.free.get(path.name, self.free[""])

    @property
    def pauses(self) -> list[PauseRow]:
        """What is paused now."""
        return list(self.store.reading.pauses())

    def said(self) -> list[tuple[str, str, str]]:
        """All pauses and their ends so far: kind, stage, actor."""
        return [
            (one.kind, one.data["stage"], one.actor)
            for one in all_events(self.store, "WorkPaused", "WorkResumed")
        ]


def look(conditions: Conditions) -> None:
    """Let the time for a look come."""
    conditions.turn(frozenset([CONDITIONS]))


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """An empty event log."""
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path, store: PlanStore) -> Place:
    """A host with enough of everything at noon on a Monday."""
    return Place(tmp_path, store)


# -- disk ---


def test_below_the_floor_nothing_is_claimed_and_above_it_all_goes_on(place: Place) -> None:
    """Both stages are paused before the first claim, with the place, the free space and the setting."""
    accept(place.store, job())
    place.free[""] = 400_000_000
    conditions = place.conditions(disk_floor_bytes=GB)
    assert conditions.disk_low
    assert place.store.claim("w", stage="cpu", host=HOST) == ()
    assert [(one.stage, one.host, one.actor) for one in place.pauses] == [
        ("cpu", HOST, f"daemon@{HOST}"),
        ("gpu", HOST, f"daemon@{HOST}"),
    ]
    assert place.pauses[0].reason == (
        f"disk low: 0.4 GB are free at {place.directory / 'results'} (results), "
        "the floor is 1.0 GB (disk_floor_bytes)"
    )
    place.free[""] = 1_050_000_000
    look(conditions)
    assert conditions.disk_low, "a little above the floor is not enough: it would come and go"
    place.free[""] = 1_200_000_000
    look(conditions)
    assert not conditions.disk_low
    assert place.pauses == []
    assert len(place.store.claim("w", stage="cpu", host=HOST)) == 1


def test_a_low_disk_says_the_same_however_it_changes(place: Place) -> None:
    """Bytes that come and go below the floor make no further events; another low place does."""
    place.free["results"] = 1
    conditions = place.conditions(disk_floor_bytes=GB)
    for free in (2, 300, 5):
        place.free["results"] = free
        look(conditions)
    assert len(place.said()) == 2
    place.free |= {"results": 5 * GB, "inbox": 7}
    look(conditions)
    assert {one.reason.partition(",")[0] for one in place.pauses} == {
        f"disk low: 0.0 MB are free at {place.directory / 'inbox'} (inbox)"
    }


def test_a_floor_of_nothing_is_never_reached(place: Place) -> None:
    """With 0 a full disk pauses nobody."""
    place.free[""] = 0
    place.conditions(disk_floor_bytes=0)
    assert place.pauses == []


def test_every_place_the_host_writes_to_is_looked_at(tmp_path: Path) -> None:
    """Results, output, the drop folder and a log that is a file; each one alone is enough."""
    settings = settings_in(tmp_path, database_url=f"sqlite:///{tmp_path}/logs/t.db", disk_floor_bytes=GB)
    assert places_of(settings) == {
        "results": tmp_path / "results",
        "output": tmp_path / "output",
        "inbox": tmp_path / "inbox",
        "event log": tmp_path / "logs",
    }
    for name, path in places_of(settings).items():
        floor = DiskFloor(settings, free=lambda asked, low=path: 1 if asked == low else 9 * GB)
        floor.look()
        assert f"({name})" in str(floor.words)
    elsewhere = settings_in(tmp_path, database_url="postgresql://u@h/d")
    assert "event log" not in places_of(elsewhere)


def test_free_space_is_that_of_the_nearest_place_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is not made yet has the room of the one above; what cannot be asked says nothing."""
    real = os.statvfs(tmp_path)
    asked: list[Path] = []

    def statvfs(path: Path) -> os.statvfs_result:
        asked.append(path)
        path.stat()
        return real

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert free_bytes(tmp_path / "a" / "b") == real.f_bavail * real.f_frsize
    assert asked == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    (tmp_path / "file").write_text("")
    assert free_bytes(tmp_path / "file" / "below") is None
    floor = DiskFloor(settings_in(tmp_path), free=lambda _: None)
    floor.look()
    assert floor.words is None


# -- windows ---


def test_outside_its_windows_a_host_starts_nothing_and_says_when_it_will(place: Place) -> None:
    """At noon a night window is closed, with the hour it opens at; at ten in the evening it is open."""
    accept(place.store, job())
    conditions = place.conditions(windows=["22:00-06:00"])
    assert place.store.claim("w", stage="cpu", host=HOST) == ()
    assert {one.reason for one in place.pauses} == {
        "outside its time windows (22:00-06:00); the next one opens at 2026-11-23 22:00 UTC"
    }
    place.now += timedelta(hours=9, minutes=59, seconds=59)
    look(conditions)
    assert len(place.pauses) == 2
    place.now += timedelta(seconds=1)
    look(conditions)
    assert place.pauses == []
    assert len(place.store.claim("w", stage="cpu", host=HOST)) == 1
    place.now += timedelta(hours=8)
    look(conditions)
    assert len(place.pauses) == 2
    assert "2026-11-24 22:00" in place.pauses[0].reason


def test_a_window_of_the_gpu_leaves_cpu_fits_alone(place: Place) -> None:
    """Only the stage whose window is closed is paused."""
    place.conditions(windows=["gpu 22:00-06:00"])
    assert [one.stage for one in place.pauses] == ["gpu"]


def test_other_hosts_go_on(place: Place) -> None:
    """The pause is of this host alone."""
    accept(place.store, job())
    place.conditions(windows=["22:00-06:00"])
    assert len(place.store.claim("w", stage="cpu", host="another")) == 1


def test_little_disk_is_said_before_a_closed_window(place: Place) -> None:
    """What needs a person comes first; with space again the window is what holds back."""
    place.free[""] = 1
    conditions = place.conditions(windows=["22:00-06:00"])
    assert "disk low" in place.pauses[0].reason
    place.free[""] = 9 * GB
    look(conditions)
    assert "outside its time windows" in place.pauses[0].reason
    assert len(place.pauses) == 2


# -- whose pause it is ---


def test_what_a_person_lifts_stays_lifted_until_it_comes_again(place: Place) -> None:
    """Overruled at noon, the host works on until its window has been open and closes anew."""
    conditions = place.conditions(windows=["22:00-06:00"])
    for stage in ("cpu", "gpu"):
        place.store.resume(stage=stage, host=HOST, actor="alice")
    look(conditions)
    look(conditions)
    assert place.pauses == []
    place.now = place.now.replace(hour=23)
    look(conditions)
    place.now += timedelta(hours=8)
    look(conditions)
    assert len(place.pauses) == 2


def test_another_cause_is_not_lifted_with_the_first(place: Place) -> None:
    """Who opens a closed window has not said that the disk may fill up."""
    conditions = place.conditions(windows=["22:00-06:00"])
    place.store.resume(stage="cpu", host=HOST, actor="alice")
    look(conditions)
    place.free[""] = 1
    look(conditions)
    assert [one.reason[:8] for one in place.pauses] == ["disk low", "disk low"]
    place.free[""] = 9 * GB
    look(conditions)
    assert len(place.pauses) == 2, "the window was lifted for that time only while nothing else held back"


def test_a_person_s_pause_is_never_lifted_by_the_host(place: Place) -> None:
    """Of the whole host or of a stage: it stays through low disk, enough disk and the stop of the daemon."""
    place.store.pause(host=HOST, reason="new disk", actor="alice")
    place.store.pause(stage="cpu", host=HOST, reason="mine", actor="alice")
    place.free[""] = 1
    conditions = place.conditions()
    assert [(one.stage, one.actor) for one in place.pauses] == [
        (None, "alice"),
        ("cpu", "alice"),
        ("gpu", f"daemon@{HOST}"),
    ]
    place.free[""] = 9 * GB
    look(conditions)
    conditions.stop()
    assert [one.actor for one in place.pauses] == ["alice", "alice"]


def test_when_a_person_s_pause_ends_the_host_s_own_begins(place: Place) -> None:
    """What a person paused covered the low disk, which is still low."""
    place.store.pause(stage="cpu", host=HOST, reason="mine", actor="alice")
    place.free[""] = 1
    conditions = place.conditions()
    place.store.resume(stage="cpu", host=HOST, actor="alice")
    look(conditions)
    assert {one.actor for one in place.pauses} == {f"daemon@{HOST}"}
    assert len(place.pauses) == 2


def test_a_stop_lifts_what_the_host_paused(place: Place) -> None:
    """While no daemon is here nobody else would, and a command that trains here would wait for ever."""
    place.free[""] = 1
    place.conditions().stop()
    assert place.pauses == []


def test_a_daemon_goes_on_with_the_pauses_of_a_killed_one(place: Place) -> None:
    """The same cause makes no further event; one that has ended meanwhile is lifted."""
    place.conditions(windows=["22:00-06:00"])
    before = place.said()
    again = place.conditions(windows=["22:00-06:00"])
    assert place.said() == before
    place.now = place.now.replace(hour=22)
    look(again)
    assert place.pauses == []
    place.now = place.now.replace(hour=12)
    look(again)
    place.conditions()  # started with other settings
    assert place.pauses == []


def test_new_settings_hold_from_the_next_look(place: Place) -> None:
    """A window that is taken out of the configuration opens at once, a floor that is raised holds back."""
    conditions = place.conditions(windows=["22:00-06:00"])
    assert {"windows", "disk_floor_bytes", "failures_pause", "time_zone"} <= conditions.live
    conditions.reload(settings_in(place.directory, disk_floor_bytes=200 * GB))
    look(conditions)
    assert "disk low" in place.pauses[0].reason
    conditions.reload(settings_in(place.directory))
    look(conditions)
    assert place.pauses == []


def test_a_host_knows_its_own_pause_however_much_was_paused_since(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for it is found beyond any number of later words; else nobody would ever lift it."""
    monkeypatch.setattr(waiting, "_PAUSES_READ", 2)
    conditions = place.conditions(windows=["cpu 22:00-06:00"])
    for number in range(3):
        place.store.pause(stage="cpu", host=f"other{number}", actor=actor_of(f"other{number}"))
        place.store.resume(stage="cpu", host=f"other{number}", actor=actor_of(f"other{number}"))
    place.store.pause(stage="gpu", host="other", actor="alice")
    assert [one.actor for one in place.pauses] == [actor_of(HOST), "alice"]
    place.now = place.now.replace(hour=23)
    look(conditions)
    assert [one.actor for one in place.pauses] == ["alice"]


def test_a_command_lifts_what_a_killed_daemon_left(place: Place) -> None:
    """Only where no daemon of this host is at work, and never a person's pause."""
    here = own_identity()
    place.store.pause(stage="gpu", host=HOST, reason="mine", actor="alice")
    place.conditions(windows=["cpu 22:00-06:00"])
    started = DaemonStarted(worker=here.worker, host=HOST, version="1", boot_id=here.boot_id)
    place.store.daemon_started(started)
    lift_leftovers(place.store, here)
    assert len(place.pauses) == 2
    place.store.daemon_said(DaemonStopped(worker=here.worker, host=HOST, cause="end"))
    lift_leftovers(place.store, here)
    assert [one.actor for one in place.pauses] == ["alice"]


def test_a_command_lifts_a_plan_that_waited_for_its_panel_here_and_no_other(place: Place) -> None:
    """It makes the panel itself, and nobody else would lift it; one that only failed waits for a person."""
    waiting_plan, failing = accept(place.store, job()), accept(place.store, job(symbol="AAA"))
    place.store.pause(plan=waiting_plan, host=HOST, reason="no panel", actor=actor_of(HOST))
    place.store.pause(plan=waiting_plan, host="other", reason="no panel", actor=actor_of("other"))
    place.store.pause(plan=failing, reason="only fails", actor=actor_of(HOST))
    lift_leftovers(place.store, own_identity())
    assert [(one.plan, one.host) for one in place.pauses] == [(waiting_plan, "other"), (failing, None)]


def test_a_command_that_trains_is_not_held_back_by_a_daemon_that_is_gone(tmp_path: Path) -> None:
    """Killed in the night it left its pauses; nobody would ever lift them for a command."""
    write_data(tmp_path / "data", rows=300)
    settings = settings_in(tmp_path, params={"LightGBM": {"rounds": 10}})
    with open_store(settings.database_url) as store:
        plan = submit_plan(settings, store, document(job())).plan_id
        store.pause(stage="cpu", host=HOST, reason="outside its time windows", actor=actor_of(HOST))
        assert drain(settings, store, [plan]).succeeded == 1


# -- plans that only fail ---


def plan_with(store: PlanStore, jobs: int, families: tuple[str, ...] = ("LightGBM", "XGBoost")) -> str:
    """Accept a plan of so many jobs of some families."""
    return accept(store, *(job(families, target=f"y_{number}_1d") for number in range(jobs)))


def fail(store: PlanStore, count: int, cause: str = "bad_input") -> None:
    """Let the next fits fail for good."""
    for claim in store.claim("w", stage="cpu", limit=count):
        failure = Failure(cause=cause, sentence=f"no rows for {claim.target}", where="", retryable=False)
        store.failed(claim, failure)


def succeed(store: PlanStore) -> None:
    """Let the next fit succeed."""
    [claim] = store.claim("w", stage="cpu")
    store.succeeded(claim, SUCCEEDED)


def test_a_plan_whose_fits_all_fail_for_one_cause_is_paused_with_an_example(store: PlanStore) -> None:
    """The sentence has the number, the cause, the last fit with its own sentence, and the next command."""
    plan = plan_with(store, 4)
    pileups = Pileups(store, actor_of("box"), 6)
    fail(store, 5)
    pileups.look()
    assert store.reading.pauses() == ()
    fail(store, 1)
    pileups.look()
    [pause] = store.reading.pauses()
    assert (pause.plan, pause.stage, pause.host, pause.actor) == (plan, None, None, "daemon@box")
    last = all_events(store, "FitFailed")[-1]
    name = store.reading.fit(str(last.fit)).name
    assert pause.reason == (
        f"6 fits in a row failed for good with the cause bad_input; the last is {name}: "
        f"{last.data['sentence']}; to go on: trainwright resume --plan {plan}"
    )
    assert store.claim("w", stage="cpu", limit=9) == ()


def test_the_same_failures_pause_a_plan_only_once(store: PlanStore) -> None:
    """Resumed, it needs as many new ones, also for a daemon that reads the log anew."""
    plan = plan_with(store, 8)
    pileups = Pileups(store, "daemon@box", 6)
    fail(store, 6)
    pileups.look()
    store.resume(plan=plan, actor="alice")
    for watcher in (pileups, Pileups(store, "daemon@box", 6)):
        watcher.look()
        assert store.reading.pauses() == ()
    fail(store, 5)
    pileups.look()
    assert store.reading.pauses() == ()
    fail(store, 1)
    pileups.look()
    assert len(store.reading.pauses()) == 1


def test_a_success_or_another_cause_begins_the_count_anew(store: PlanStore) -> None:
    """In a row means that nothing else ended between."""
    plan_with(store, 12)
    pileups = Pileups(store, "daemon@box", 4)
    for _ in range(2):
        fail(store, 3)
        succeed(store)
        fail(store, 3, "internal")
        fail(store, 3)
    pileups.look()
    assert store.reading.pauses() == ()
    fail(store, 1)
    pileups.look()
    assert len(store.reading.pauses()) == 1


def test_failures_that_are_tried_again_do_not_count(store: PlanStore) -> None:
    """Only what is final does."""
    plan_with(store, 4)
    for claim in store.claim("w", stage="cpu", limit=8):
        store.failed(claim, Failure(cause="internal", sentence="s", where="", retryable=True))
    Pileups(store, "daemon@box", 2).look()
    assert store.reading.pauses() == ()


def test_one_bad_target_does_not_stop_the_others(store: PlanStore) -> None:
    """All families of a single job speak of that job; of a plan of one job they say all there is."""
    families = ("LightGBM", "XGBoost", "QuantileLightGBM", "RewardBased")
    plan_with(store, 3, families)
    fail(store, 4)
    Pileups(store, "daemon@box", 4).look()
    assert store.reading.pauses() == ()
    fail(store, 5)
    Pileups(store, "daemon@box", 4).look()
    assert len(store.reading.pauses()) == 1
    alone = plan_with(store, 1, ("FTRLProximal", "GMMRegime", *families))
    fail(store, 4)
    Pileups(store, "daemon@box", 4).look()
    assert [pause.plan for pause in store.reading.pauses()][1:] == [alone]


def test_a_plan_of_which_nothing_is_left_is_not_paused(store: PlanStore) -> None:
    """There is nothing to hold back."""
    plan_with(store, 3)
    fail(store, 6)
    Pileups(store, "daemon@box", 6).look()
    assert store.reading.pauses() == ()


def test_a_daemon_that_starts_counts_on_where_the_last_one_was(store: PlanStore) -> None:
    """Five before and one after are six, over more events than are read at a time."""
    plan_with(store, 4)
    fail(store, 5)
    watcher = Pileups(store, "daemon@box", 6)
    watcher.look()
    fail(store, 1)
    Pileups(store, "daemon@box", 6).look()
    assert len(store.reading.pauses()) == 1


def test_a_plan_that_a_person_paused_stays_that_person_s(store: PlanStore) -> None:
    """The host adds nothing to it, and its end begins the count anew."""
    plan = plan_with(store, 4)
    fail(store, 6)
    store.pause(plan=plan, reason="mine", actor="alice")
    watcher = Pileups(store, "daemon@box", 6)
    watcher.look()
    assert [pause.actor for pause in store.reading.pauses()] == ["alice"]
    store.resume(plan=plan, actor="alice")
    watcher.look()
    assert store.reading.pauses() == ()


def test_with_0_no_plan_is_ever_paused(store: PlanStore) -> None:
    """Who wants to see every failure can."""
    plan_with(store, 4)
    fail(store, 7)
    Pileups(store, "daemon@box", 0).look()
    assert store.reading.pauses() == ()


def test_many_ends_are_read_page_by_page(store: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is passed over or counted twice at the seams."""
    monkeypatch.setattr("daemon.pileups.PAGE_EVENTS", 2)
    plan_with(store, 4)
    fail(store, 7)
    Pileups(store, "daemon@box", 8).look()
    assert store.reading.pauses() == ()
    Pileups(store, "daemon@box", 7).look()
    assert len(store.reading.pauses()) == 1
