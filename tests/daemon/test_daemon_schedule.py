"""What is scheduled is done when it is due, once, in a process of its own, and told of when it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from daemon_samples import accept, await_that, job, settings_in

from daemon import schedule as schedule_module
from daemon.bell import Bell
from daemon.errands import Ended, Errand, environment_of, last_words, prune_backups, steps_of
from daemon.identity import start_ticks
from daemon.schedule import Schedule
from daemon.schedule_entries import DEEDS, RINGS, Entry, entries_of
from daemon.schedule_state import FOLDER, STATE, read_state
from daemon.settings import Settings
from daemon.timetable import RESCAN, RESCUE, SEAL
from store import open_store

NIGHTLY = {"cron": "30 2 * * *", "do": "verify"}
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
ENDLESS = ("events", "-f")


class FakeErrand:
    """An errand that ends when a test says so."""

    begun: list[FakeErrand]
    refused: OSError | None = None

    def __init__(self, steps: Sequence[Sequence[str]], **about: Any) -> None:
        if self.refused is not None:
            raise self.refused
        self.steps, self.about = steps, about
        self.ends_with: Ended | None = None
        self.was_killed = False
        self.begun.append(self)

    def ended(self) -> Ended | None:
        """How it ended."""
        return self.ends_with

    def kill(self) -> None:
        """Remember it."""
        self.was_killed = True


class Host:
    """A daemon's schedule under a clock that a test moves."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.now, self.bell = directory, NOON, Bell()
        self.told: list[tuple[str, str]] = []
        self.schedule: Schedule

    def settings(self, entries: Mapping[str, Any], **more: Any) -> Settings:
        """Settings with these entries."""
        return settings_in(self.directory, schedule=entries, **{"time_zone": "UTC", **more})

    def start(self, entries: Mapping[str, Any], **more: Any) -> None:
        """Start a daemon with these entries."""
        self.schedule = Schedule(
            self.settings(entries, **more),
            self.bell,
            tell=lambda kind, sentence, **_: self.told.append((kind, sentence)),
            environ={},
            now=lambda: self.now,
        )
        self.schedule.start()

    def at(self, moment: datetime) -> None:
        """Let the loop turn at a moment."""
        self.now = moment
        self.schedule.turn(frozenset())

    @property
    def state(self) -> dict[str, Any]:
        """What is kept."""
        return read_state(self.directory / "results" / FOLDER)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FakeErrand]:
    """All errands that were begun, none of them real."""
    monkeypatch.setattr(FakeErrand, "begun", [], raising=False)
    monkeypatch.setattr(FakeErrand, "refused", None)
    monkeypatch.setattr(schedule_module, "Errand", FakeErrand)
    return FakeErrand.begun


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host at noon."""
    made = Host(tmp_path)
    yield made
    made.bell.close()


# -- when ---


def test_an_entry_is_begun_when_it_is_due_and_again_the_next_time(
    host: Host, begun: list[FakeErrand]
) -> None:
    """Not a second before, once for each time, with the hour kept beside the results."""
    host.start({"nightly": NIGHTLY})
    host.at(NIGHT - timedelta(seconds=1))
    assert begun == []
    host.at(NIGHT)
    host.at(NIGHT + timedelta(seconds=1))
    assert [one.steps for one in begun] == [(("db", "verify"),)]
    assert host.state["nightly"]["due_at"] == NIGHT.isoformat()
    assert "ended_at" not in host.state["nightly"]
    begun[0].ends_with = Ended(code=0)
    host.at(NIGHT + timedelta(minutes=5))
    assert host.state["nightly"]["ended_at"] == (NIGHT + timedelta(minutes=5)).isoformat()
    assert host.state["nightly"]["problem"] == ""
    host.at(NIGHT + timedelta(days=1))
    assert len(begun) == 2
    assert host.told == []


def test_a_run_that_is_not_done_is_not_begun_again(host: Host, begun: list[FakeErrand]) -> None:
    """The second one is left out and told of; other entries go their way."""
    host.start({"nightly": NIGHTLY, "other": NIGHTLY})
    host.at(NIGHT)
    begun[1].ends_with = Ended(code=0)
    host.at(NIGHT + timedelta(days=1))
    assert len(begun) == 3
    assert host.told == [
        (
            "schedule_failed",
            "scheduled verify nightly failed: it was left out: the run of 2026-11-24 02:30 is not done yet",
        )
    ]


def test_two_plans_are_made_one_after_the_other(host: Host, begun: list[FakeErrand]) -> None:
    """Both are written to one place: together they would hand in each other's plan."""
    plan = {"cron": "30 2 * * *", "do": "plan"}
    host.start({"a": plan, "b": plan | {"arguments": ["--target", "x"]}, "check": NIGHTLY})
    host.at(NIGHT)
    assert [one.steps[0][:2] for one in begun] == [("plan", "make"), ("db", "verify")]
    later = NIGHT + timedelta(hours=1)
    begun[0].ends_with = Ended(code=0)
    host.at(later)
    assert begun[2].steps[0] == ("plan", "make", "--target", "x")
    assert host.state["b"] == {"due_at": NIGHT.isoformat(), "began_at": later.isoformat(), "do": "plan"}
    host.at(later + timedelta(seconds=1))
    assert len(begun) == 3
    assert host.told == []


def test_a_machine_that_slept_over_several_times_runs_once(host: Host, begun: list[FakeErrand]) -> None:
    """Three nights of sleep, or a clock set forward by days, are one run."""
    host.start({"nightly": NIGHTLY})
    host.at(NIGHT + timedelta(days=3))
    host.at(NIGHT + timedelta(days=3, seconds=1))
    assert len(begun) == 1


def test_a_clock_set_back_runs_nothing_again(host: Host, begun: list[FakeErrand]) -> None:
    """After the night's run the clock is set back an hour: the next run is the next night's."""
    host.start({"nightly": NIGHTLY})
    host.at(NIGHT)
    begun[0].ends_with = Ended(code=0)
    host.at(NIGHT - timedelta(hours=1))
    host.at(NIGHT + timedelta(minutes=1))
    assert len(begun) == 1
    host.at(NIGHT + timedelta(days=1))
    assert len(begun) == 2


def test_a_clock_that_was_far_ahead_does_not_stop_the_schedule(host: Host, begun: list[FakeErrand]) -> None:
    """A year ahead for a moment, then right again: the next run is the coming night's."""
    host.start({"nightly": NIGHTLY})
    host.at(NIGHT + timedelta(days=365))
    begun[0].ends_with = Ended(code=0)
    host.at(NOON)
    host.at(NIGHT)
    assert len(begun) == 2


@pytest.mark.parametrize("catch_up", [True, False])
def test_what_a_daemon_missed_is_made_up_for_where_that_is_wanted(
    host: Host, begun: list[FakeErrand], *, catch_up: bool
) -> None:
    """Down over the night it runs at the next start, once; where that is not wanted, in the next night."""
    entries = {"nightly": {**NIGHTLY, "catch_up": catch_up}}
    host.start(entries)
    host.schedule.stop()
    host.now = NIGHT + timedelta(hours=6)
    host.start(entries)
    host.at(host.now)
    assert len(begun) == (1 if catch_up else 0)
    for one in begun:
        one.ends_with = Ended(code=0)
    host.at(host.now)
    host.start(entries)
    host.at(host.now)
    assert len(begun) == (1 if catch_up else 0)


def test_what_a_reload_brought_is_missed_too(host: Host, begun: list[FakeErrand]) -> None:
    """What came by a reload and fell due while the daemon was away is made up for at the next start."""
    entries = {"nightly": {**NIGHTLY, "catch_up": True}}
    host.start({})
    host.schedule.reload(host.settings(entries))
    host.schedule.stop()
    host.now = NIGHT + timedelta(hours=6)
    host.start(entries)
    host.at(host.now)
    assert len(begun) == 1


def test_a_first_start_has_missed_nothing(host: Host, begun: list[FakeErrand]) -> None:
    """There was no daemon to run it, and nobody had asked."""
    host.start({"nightly": {**NIGHTLY, "catch_up": True}})
    host.at(NOON)
    assert begun == []


def test_a_run_that_was_cut_off_by_the_end_of_its_daemon_is_made_up_for(
    host: Host, begun: list[FakeErrand]
) -> None:
    """Its process is ended with the daemon; the next start begins it again."""
    entries = {"nightly": {**NIGHTLY, "catch_up": True}}
    host.start(entries)
    host.at(NIGHT)
    host.schedule.stop()
    assert begun[0].was_killed
    host.start(entries)
    host.at(NIGHT + timedelta(minutes=1))
    assert len(begun) == 2


def test_what_is_kept_of_former_runs_may_be_anything(host: Host, begun: list[FakeErrand]) -> None:
    """A file that was cut, or changed by hand, is passed over."""
    folder = host.directory / "results" / FOLDER
    folder.mkdir(parents=True)
    for text in ("{", "[]", '{"nightly": 3}', '{"nightly": {"due_at": "soon"}}', "\x00"):
        (folder / STATE).write_text(text)
        host.start({"nightly": {**NIGHTLY, "catch_up": True}})
        host.at(NOON)
    assert begun == []


def test_a_changed_schedule_holds_at_once(host: Host, begun: list[FakeErrand]) -> None:
    """A new entry has its own time, a removed one none; what runs goes on and is heard to its end."""
    host.start({"nightly": NIGHTLY, "daily": {"cron": "0 13 * * *", "do": "archive", "older_than": "30d"}})
    assert {"schedule", "time_zone"} == host.schedule.live
    host.at(NOON.replace(hour=13))
    host.schedule.reload(host.settings({"nightly": NIGHTLY, "soon": {"cron": "5 13 * * *", "do": "verify"}}))
    begun[0].ends_with = Ended(code=3, sentence="no space")
    host.at(NOON.replace(hour=13, minute=5))
    assert [one.steps[0][:2] for one in begun] == [("db", "archive"), ("db", "verify")]
    assert host.told == [("schedule_failed", "scheduled archive daily failed: no space")]
    host.at(NIGHT)
    assert len(begun) == 3
    host.schedule.reload(host.settings({}))
    host.at(NIGHT + timedelta(days=2))
    assert len(begun) == 3


def test_times_are_those_of_the_zone(host: Host, begun: list[FakeErrand]) -> None:
    """Half past two in Berlin is half past one in UTC; another zone moves what is planned."""
    host.start({"nightly": NIGHTLY}, time_zone="Europe/Berlin")
    host.at(NIGHT - timedelta(hours=1))
    assert len(begun) == 1
    begun[0].ends_with = Ended(code=0)
    host.at(NIGHT - timedelta(minutes=59))
    host.schedule.reload(host.settings({"nightly": NIGHTLY}))
    host.at(NIGHT)
    assert len(begun) == 2


# -- what ---


def test_what_the_daemon_does_itself_is_rung_for(host: Host, begun: list[FakeErrand]) -> None:
    """Rescan, rescue and seal start no process; they are heard by the loop under their own names."""
    assert set(RINGS) == {RESCAN, RESCUE, SEAL}
    host.start({name: {"cron": "30 2 * * *", "do": name} for name in RINGS})
    host.at(NIGHT)
    assert host.bell.heard() == set(RINGS)
    assert begun == []
    assert host.state["seal"]["problem"] == ""


def test_a_failure_is_logged_kept_and_told(host: Host, begun: list[FakeErrand]) -> None:
    """With its sentence and where its words are; the next time it is begun again."""
    host.start({"nightly": NIGHTLY})
    host.at(NIGHT)
    begun[0].ends_with = Ended(code=3, sentence="event 7 does not fit")
    with structlog.testing.capture_logs() as said:
        host.at(NIGHT + timedelta(seconds=9))
    assert [(one["event"], one["log_level"], one["code"]) for one in said] == [
        ("scheduled work failed", "error", 3)
    ]
    assert host.told == [("schedule_failed", "scheduled verify nightly failed: event 7 does not fit")]
    assert host.state["nightly"]["problem"] == "event 7 does not fit"
    host.at(NIGHT + timedelta(days=1))
    assert len(begun) == 2


def test_what_cannot_be_started_is_a_failure_like_others(
    host: Host, begun: list[FakeErrand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process to be had, or no room for its log: told, and tried again the next time."""
    host.start({"nightly": NIGHTLY})
    monkeypatch.setattr(FakeErrand, "refused", OSError(28, "No space left on device"))
    host.at(NIGHT)
    assert host.told[0][1].endswith("it could not be started: [Errno 28] No space left on device")
    monkeypatch.setattr(FakeErrand, "refused", None)
    host.at(NIGHT + timedelta(days=1))
    assert len(begun) == 1


def test_a_place_that_cannot_be_written_to_stops_no_run(host: Host, begun: list[FakeErrand]) -> None:
    """When it ran is then not kept."""
    host.start({"nightly": NIGHTLY})
    folder = host.directory / "results" / FOLDER
    (folder / STATE).unlink()
    folder.rmdir()
    folder.write_text("a file where the folder was")
    host.at(NIGHT)
    assert len(begun) == 1


def one(**table: Any) -> Entry:
    """The entry of a table."""
    [entry] = entries_of({"mine": {"cron": "0 3 * * *", **table}})
    return entry


def test_each_deed_is_a_command_of_ours(tmp_path: Path) -> None:
    """Plans go the road of a dropped plan; all are told the daemon's own configuration."""
    settings, config = settings_in(tmp_path), tmp_path / "t.toml"
    results, told = tmp_path / "results", ("--config", str(tmp_path / "t.toml"))
    assert steps_of(one(do="plan", arguments=["--top-n-targets", "5"]), settings, NOON, config) == (
        ("plan", "make", *told, "--top-n-targets", "5"),
        ("submit", f"{results}/globals/training_plan", *told, "--wait-seconds", "600"),
    )
    assert steps_of(one(do="backup", to=str(tmp_path / "safe")), settings, NOON, config) == (
        ("db", "backup", f"{tmp_path}/safe/mine-20261123T120000Z.db", *told),
    )
    assert steps_of(one(do="backup"), settings, NOON) == (
        ("db", "backup", f"{results}/backups/mine-20261123T120000Z.db"),
    )
    assert steps_of(one(do="retain", older_than="90d"), settings, NOON) == (
        ("db", "archive", "--older-than", "90d"),
        ("db", "retain", "--older-than", "90d"),
    )
    assert steps_of(one(do="archive", older_than="8w"), settings, NOON) == (
        ("db", "archive", "--older-than", "8w"),
    )
    postgres = settings_in(tmp_path, database_url="postgresql://u@h/d")
    assert steps_of(one(do="backup"), postgres, NOON)[0][2].endswith(".jsonl.gz")


def test_a_command_works_where_the_daemon_does(tmp_path: Path) -> None:
    """Its places are named to it; an address with a password is not, for others can read an environment."""
    told = environment_of(settings_in(tmp_path), {"HOME": "/h", "TRAINWRIGHT_RESULTS_DIR": "elsewhere"})
    assert told["TRAINWRIGHT_RESULTS_DIR"] == str(tmp_path / "results")
    assert told["TRAINWRIGHT_INBOX_DIR"] == str(tmp_path / "inbox")
    assert told["TRAINWRIGHT_DATABASE_URL"].startswith("sqlite:///")
    assert told["HOME"] == "/h"
    secret = settings_in(tmp_path, database_url="postgresql://u:hush@h/d")
    assert not any("hush" in value for value in environment_of(secret, {}).values())


def test_only_the_oldest_backups_of_the_entry_itself_are_removed(tmp_path: Path) -> None:
    """Whatever else lies in the folder stays, also what looks nearly the same."""
    entry = one(do="backup", keep=2, to=str(tmp_path))
    mine = [f"mine-2026112{day}T030000Z.db" for day in range(5)]
    others = ["mine-20261120T030000Z.db-wal", "mine-x.db", "yours-20261120T030000Z.db", "mine-2.db", "a"]
    for name in (*mine, *others):
        (tmp_path / name).write_text("")
    gone = prune_backups(entry, settings_in(tmp_path))
    assert [path.name for path in gone] == mine[:3]
    assert {path.name for path in tmp_path.iterdir()} == {*mine[3:], *others}
    assert prune_backups(one(do="backup", to=str(tmp_path / "none")), settings_in(tmp_path)) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "write one of: plan"),
        ({"do": "sleep"}, "write one of: plan"),
        ({"do": "seal", "cron": "daily"}, "write minute, hour"),
        ({"do": "seal", "keep": 3}, "unknown key 'keep' of do = 'seal'"),
        ({"do": "backup", "kep": 3}, "did you mean 'keep'"),
        ({"do": "backup", "keep": 0}, "whole number from 1"),
        ({"do": "backup", "to": 7}, "write a path"),
        ({"do": "retain"}, "older_than is needed"),
        ({"do": "archive", "older_than": "soon"}, "older_than is needed"),
        ({"do": "plan", "arguments": "--seed 3"}, "write a list"),
        ({"do": "plan", "arguments": ["--output-dir=x"]}, "in the daemon's own results"),
        ({"do": "seal", "catch_up": "perhaps"}, "true or false"),
        ({"do": "verify", "seconds_max": 0}, "write a number from 1"),
    ],
)
def test_an_entry_that_cannot_be_is_told_what_to_write(table: dict[str, Any], said: str) -> None:
    """With its name in front."""
    with pytest.raises(ValueError, match=rf"^mine: .*{said}"):
        one(**table)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 41, ".x"])
def test_a_name_can_be_that_of_a_file(name: str) -> None:
    """Logs and backups are named after it."""
    with pytest.raises(ValueError, match="letters"):
        entries_of({name: NIGHTLY})


def test_every_deed_has_an_entry() -> None:
    """None is known that cannot be written."""
    for deed in DEEDS:
        more = {"older_than": "9d"} if deed in ("archive", "retain") else {}
        assert one(do=deed, **more).do == deed


# -- real processes ---


def errand(tmp_path: Path, *steps: tuple[str, ...], **more: Any) -> Errand:
    """A real errand over the event log of a directory."""
    environ = environment_of(settings_in(tmp_path), os.environ)
    return Errand(steps, log=tmp_path / "logs" / "mine.log", environ=environ, **more)


def end_of(running: Errand) -> Ended:
    """How an errand ended, once it has."""
    return await_that(running.ended, "end of the errand")


def test_commands_run_one_after_the_other_until_one_fails(tmp_path: Path) -> None:
    """What they say is in the log, that of the run before beside it; the sentence is the last error."""
    with open_store(settings_in(tmp_path).database_url) as store:
        accept(store, job())
    done = end_of(errand(tmp_path, ("db", "verify"), ("db", "backup", str(tmp_path / "b.db"))))
    assert done == Ended(code=0)
    assert (tmp_path / "b.db").exists()
    again = end_of(errand(tmp_path, ("db", "backup", str(tmp_path / "b.db")), ("db", "verify")))
    assert again.code == 2
    assert "the file is there already" in again.sentence
    log = tmp_path / "logs" / "mine.log"
    assert "db verify" not in log.read_text()
    assert log.with_name("mine.log.1").read_text().startswith("$ trainwright db verify\n")


def test_a_run_over_its_time_is_ended(tmp_path: Path) -> None:
    """The sentence names the limit."""
    with open_store(settings_in(tmp_path).database_url):
        pass
    found = end_of(errand(tmp_path, ENDLESS, ("db", "verify"), seconds_max=1))
    assert found.code == -signal.SIGKILL
    assert found.sentence == "took longer than its limit of 1 s (seconds_max) and was ended"


def test_a_killed_errand_is_gone(tmp_path: Path) -> None:
    """Nothing of it runs on, and no further command is begun."""
    with open_store(settings_in(tmp_path).database_url):
        pass
    running = errand(tmp_path, ENDLESS, ("db", "verify"))
    pid = running._process.pid
    running.kill()
    assert start_ticks(pid) is None
    assert running.ended() == Ended(code=-signal.SIGKILL, sentence="it ended with exit code -9")


def test_an_errand_dies_with_its_daemon(tmp_path: Path) -> None:
    """Killed without a word, the daemon leaves no command behind that its successor would start again."""
    with open_store(settings_in(tmp_path).database_url) as store:
        accept(store, job())
    code = (
        "import os, sys; from pathlib import Path; from daemon.errands import Errand\n"
        f"errand = Errand([{ENDLESS!r}], log=Path(sys.argv[1]), environ=dict(os.environ))\n"
        "print(errand._process.pid, flush=True); sys.stdin.read()"
    )
    log = tmp_path / "e.log"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(log)],
        env=environment_of(settings_in(tmp_path), os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        await_that(lambda: "PlanAccepted" in log.read_text(), "first word of the command")
        daemon.kill()
    await_that(lambda: start_ticks(pid) is None, "end of the errand")


def test_the_last_words_are_the_last_error(tmp_path: Path) -> None:
    """Or the last line where no error is told; nothing where there is no log."""
    log = tmp_path / "a.log"
    assert last_words(log) == ""
    log.write_text("$ trainwright x\n")
    assert last_words(log) == ""
    log.write_text("$ trainwright x\nerror: first\n$ trainwright y\nerror: no space\n  where here\n\n")
    assert last_words(log) == "no space"
    log.write_bytes(b"\xff\xfe said\n")
    assert last_words(log).endswith("said")


@pytest.mark.slow
def test_a_scheduled_backup_keeps_the_newest(tmp_path: Path) -> None:
    """Three nights, three backups, the last of which is kept; each was checked before it got its name."""
    entries = {"safe": {"cron": "30 2 * * *", "do": "backup", "to": str(tmp_path / "safe"), "keep": 1}}
    settings = settings_in(tmp_path, schedule=entries, time_zone="UTC")
    with open_store(settings.database_url) as store:
        accept(store, job())
    moment = [NOON]
    schedule = Schedule(settings, Bell(), now=lambda: moment[0])
    schedule.start()
    for night in range(3):
        moment[0] = NIGHT + timedelta(days=night)

        def is_done() -> bool:
            schedule.turn(frozenset())
            return "ended_at" in read_state(tmp_path / "results" / FOLDER)["safe"]

        await_that(is_done, "backup")
    state = json.loads((tmp_path / "results" / FOLDER / STATE).read_text())
    assert state["safe"]["problem"] == ""
    assert [path.name for path in (tmp_path / "safe").iterdir()] == ["safe-20261126T023000Z.db"]
