"""The way of plans from the drop folder into the log, and of all else onto the shelf of the rejected."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import all_events, await_that, document, drop, job, settings_in, write_data, write_plan

from daemon import intake as intake_module
from daemon.bell import Bell
from daemon.intake import Intake
from daemon.settings import Settings
from store import PlanStore, open_store

pytestmark = pytest.mark.usefixtures("ngboost_missing")  # a fit that needs no training

RESCAN = frozenset(("rescan",))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of two symbols."""
    return write_data(tmp_path_factory.mktemp("data"), rows=200)


@pytest.fixture
def settings(tmp_path: Path, data_dir: Path) -> Settings:
    """An installation over that data."""
    (tmp_path / "results").mkdir()
    return settings_in(tmp_path, data_dir=data_dir, disk_floor_bytes=0)


@pytest.fixture
def store() -> Iterator[PlanStore]:
    """An event log in memory."""
    with open_store("memory:") as opened:
        yield opened


class Daemon:
    """As much of a daemon as takes plans in."""

    def __init__(self, store: PlanStore) -> None:
        self._store, self._bell = store, Bell()
        self.intake: Intake | None = None

    def start(self, settings: Settings) -> Intake:
        """Begin."""
        self.intake = Intake(settings, self._store, self._bell)
        self.intake.start()
        return self.intake

    def turn(self, *, rescan: bool = True) -> None:
        """Take a turn."""
        assert self.intake is not None
        self.intake.turn(self._bell.heard() | (RESCAN if rescan else frozenset()))

    def until(self, condition: Any, what: str) -> None:
        """Take turns until something holds."""

        def turned() -> bool:
            self.turn()
            return bool(condition())

        await_that(turned, what)

    def close(self) -> None:
        """End."""
        if self.intake is not None:
            self.intake.close()
        self._bell.close()


@pytest.fixture
def daemon(store: PlanStore) -> Iterator[Daemon]:
    """A daemon that has not begun."""
    made = Daemon(store)
    yield made
    made.close()


def good(number: int = 0) -> dict[str, Any]:
    """A plan whose fits are over at once."""
    return document(job(["NGBoost"]), note=str(number))


def refusals(store: PlanStore) -> list[str]:
    """What was refused, in words."""
    return [str(event.data["sentence"]) for event in all_events(store, "PlanRejected")]


def test_a_turn_is_short_whatever_lies_there(
    settings: Settings, store: PlanStore, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn stops when its time is over; what was renamed in whole goes before all the rest."""
    settings.inbox_dir.mkdir()
    for number in range(30):
        (settings.inbox_dir / f"garbage-{number}").write_text("")
    intake = daemon.start(settings)
    daemon.turn()
    before = len(refusals(store))
    monkeypatch.setattr(intake_module, "TURN_SECONDS", 0.0)
    (settings.inbox_dir / "more").write_text("")
    for _ in range(3):
        daemon.turn()
    assert len(refusals(store)) <= before + 3
    drop(settings.inbox_dir, "zzz", good())
    await_that(lambda: daemon.turn(rescan=False) or intake.at_hand or store.reading.plans(), "plan in hand")
    monkeypatch.setattr(intake_module, "TURN_SECONDS", 0.1)
    daemon.until(lambda: len(refusals(store)) == 31 and len(store.reading.plans()) == 1, "refusals")
    daemon.until(lambda: not intake.busy, "rest")


@pytest.mark.parametrize("is_mutant", [False, True])
def test_a_refusal_cut_off_before_its_move_is_recorded_once(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    """Killed before the move, a daemon says the same word after its start; without its id it is two."""

    class KilledError(Exception):
        """The daemon's end."""

    def killed(*_words: object, **_more: object) -> None:
        raise KilledError

    if is_mutant:
        monkeypatch.setattr(intake_module, "_event_id", lambda *_words: None)
    settings.inbox_dir.mkdir()
    drop(settings.inbox_dir, "bad", document(job(["LigtGBM"])))
    (settings.inbox_dir / "file").write_text("")
    for _ in range(2):
        first = Daemon(store)
        first.start(settings)
        with monkeypatch.context() as patch:
            patch.setattr(intake_module, "shelve_rejected", killed)
            with pytest.raises(KilledError):
                first.until(lambda: False, "end")
        first.close()
    last = Daemon(store)
    last.start(settings)
    last.until(lambda: len(list(settings.inbox_dir.glob("rejected/*/REASON.txt"))) == 2, "moves")
    last.close()
    assert len(refusals(store)) == (4 if is_mutant else 2)


def test_a_plan_of_a_stranger_is_refused(settings: Settings, store: PlanStore, daemon: Daemon) -> None:
    """Where people are named, plans of others are refused by the name of their owner, by hand of root too."""
    if os.getuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    daemon.start(replace(settings, inbox_users=("root",)))
    stranger = write_plan(settings.inbox_dir / ".a", good(1))
    os.chown(stranger / "master_training_plan.json", 65534, 65534)
    stranger.rename(settings.inbox_dir / "stranger")
    drop(settings.inbox_dir, "ours", good(2))
    daemon.until(lambda: refusals(store) and store.reading.plans(), "both")
    assert "65534" in refusals(store)[0]
    assert (settings.inbox_dir / "rejected" / "stranger" / "REASON.txt").exists()


@pytest.mark.parametrize(
    ("given", "words"), [({"disk_floor_bytes": 2**59}, "disk low"), ({"plans_open_max": 1}, "plans are open")]
)
def test_plans_wait_in_the_folder_while_none_may_be_taken(
    given: dict[str, int], words: str, settings: Settings, store: PlanStore, daemon: Daemon
) -> None:
    """Too little space or too many plans: the next one stays, the sentence says why, a reload lifts it."""
    intake = daemon.start(settings)
    drop(settings.inbox_dir, "first", document(job(["LightGBM"])))
    daemon.until(store.reading.plans, "plan")
    intake.reload(replace(settings, **given))
    drop(settings.inbox_dir, "second", good())
    daemon.until(lambda: intake.trouble, "trouble")
    assert words in str(intake.trouble)
    assert len(store.reading.plans()) == 1
    assert set(given) <= intake.live
    intake.reload(settings)
    daemon.until(lambda: len(store.reading.plans()) == 2, "second plan")
    assert intake.trouble is None
    assert refusals(store) == []


def test_a_plan_waits_for_a_place_to_write_to(
    settings: Settings, store: PlanStore, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output directory that cannot be made is no fault of the plan: it is recorded once there is one."""
    settings.output_dir.write_text("in the way")
    monkeypatch.setattr(intake_module, "_PLACE_SECONDS", 0.01)
    intake = daemon.start(settings)
    drop(settings.inbox_dir, "plan", good())
    daemon.until(lambda: intake.at_hand and intake._place_at > 0, "wait")
    assert (settings.inbox_dir / "plan").exists()
    settings.output_dir.unlink()
    daemon.until(store.reading.plans, "plan")
    assert refusals(store) == []


def test_the_folder_may_go_and_come_back(settings: Settings, store: PlanStore, daemon: Daemon) -> None:
    """Removed, replaced by a link, opened to all: the daemon goes on, says so, and takes plans again."""
    intake = daemon.start(settings)
    inbox = settings.inbox_dir
    shutil.rmtree(inbox)
    daemon.turn()
    drop(inbox, "first", good(1))
    daemon.until(lambda: len(store.reading.plans()) == 1, "plan in the folder made anew")
    inbox.rename(inbox.with_name("elsewhere"))
    inbox.symlink_to("elsewhere")
    drop(inbox, "second", good(2))
    daemon.turn()
    assert "symbolic link" in str(intake.trouble)
    inbox.unlink()
    inbox.with_name("elsewhere").rename(inbox)
    daemon.until(lambda: len(store.reading.plans()) == 2, "plan in the folder put back")
    inbox.chmod(0o777)
    drop(inbox, "third", good(3))
    daemon.turn()
    assert "everybody" in str(intake.trouble)
    inbox.chmod(0o755)
    daemon.until(lambda: len(store.reading.plans()) == 3, "plan in the folder closed to others")
    assert refusals(store) == []
    assert intake.watcher.works


def test_a_plan_taken_back_while_it_is_judged_is_recorded_all_the_same(
    settings: Settings, store: PlanStore, daemon: Daemon
) -> None:
    """What was read is recorded, also where the directory is gone by then; the shelf has a copy."""
    intake = daemon.start(settings)
    plan = drop(settings.inbox_dir, "plan", good())
    daemon.until(lambda: intake.at_hand, "plan in hand")
    shutil.rmtree(plan)
    daemon.until(lambda: store.reading.plans() and not intake.at_hand, "plan")
    (shelf,) = (settings.inbox_dir / "accepted").iterdir()
    assert json.loads((shelf / "master_training_plan.json").read_text()) == good()
    assert json.loads((shelf / "receipt.json").read_text())["plan"] == store.reading.plans()[0].id


def test_a_change_after_the_read_changes_nothing(
    settings: Settings, store: PlanStore, daemon: Daemon
) -> None:
    """What is written into the directory after it was read is not what is recorded."""
    intake = daemon.start(settings)
    plan = drop(settings.inbox_dir, "plan", good(1))
    daemon.until(lambda: intake.at_hand, "plan in hand")
    write_plan(plan, good(2))
    daemon.until(store.reading.plans, "plan")
    (row,) = store.reading.plans()
    assert store.plan(row.id).document["metadata"]["note"] == "1"


def test_what_is_in_hand_at_the_end_is_taken_after_the_next_start(
    settings: Settings, store: PlanStore, daemon: Daemon
) -> None:
    """A daemon that stops while it judges leaves the plan where it lay and no private copy of it."""
    first = Daemon(store)
    intake = first.start(settings)
    drop(settings.inbox_dir, "plan", good())
    first.until(lambda: intake.at_hand, "plan in hand")
    first.close()
    assert list((settings.results_dir / "intake").iterdir()) == []
    assert (settings.inbox_dir / "plan").exists()
    daemon.start(settings)
    daemon.until(store.reading.plans, "plan")


def test_only_a_yaml_view_is_refused_in_words(settings: Settings, store: PlanStore, daemon: Daemon) -> None:
    """A plan that was dropped as YAML alone hears that the JSON master is the plan."""
    daemon.start(settings)
    view = write_plan(settings.inbox_dir / ".a", "jobs: &a [*a]", name="training_plan.yaml")
    (view / ".ready").touch()
    view.rename(settings.inbox_dir / "plan")
    daemon.until(lambda: refusals(store), "refusal")
    assert "training_plan.yaml is a view for people" in refusals(store)[0]
