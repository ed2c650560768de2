"""The drop folder says what is complete: renamed in, marked ready, or quiet for the settle time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import FakeClock, await_that, document, drop, write_plan

from daemon.bell import Bell
from daemon.errors import InboxUnsafe
from daemon.inbox import Dropped, Inbox, Unfit
from daemon.shelves import shelve_accepted, shelve_rejected
from daemon.watcher import Watcher
from store import PlanRejected


@pytest.fixture
def clock() -> FakeClock:
    """A clock for the settle time."""
    return FakeClock()


@pytest.fixture
def inbox(tmp_path: Path, clock: FakeClock) -> Iterator[Inbox]:
    """An open drop folder with a settle time of 2 s."""
    made = Inbox(tmp_path / "inbox", settle_seconds=2.0, clock=clock)
    made.open()
    yield made
    made.close()


def names(found: tuple[Dropped | Unfit, ...]) -> list[str]:
    """The names of what was found."""
    return [one.name for one in found]


def test_what_was_renamed_in_is_taken_at_once(inbox: Inbox) -> None:
    """A directory known to have come in whole does not wait for the settle time."""
    drop(inbox.directory, "plan", document())
    (found,) = inbox.scan(moved_in=["plan"])
    assert isinstance(found, Dropped)
    assert json.loads(found.content) == document()
    assert found.uid == os.getuid()


def test_what_is_copied_in_is_taken_when_it_is_quiet(inbox: Inbox, clock: FakeClock) -> None:
    """Every change begins the settle time anew."""
    plan = write_plan(inbox.directory / "plan", document())
    assert inbox.scan() == ()
    clock.now += 1.5
    (plan / "by_target").mkdir()
    assert inbox.scan() == ()
    clock.now += 1.5
    assert inbox.scan() == ()
    assert inbox.unsettled
    clock.now += 1
    assert names(inbox.scan()) == ["plan"]


def test_ready_ends_the_waiting(inbox: Inbox) -> None:
    """With `.ready` in it a directory is taken at once."""
    (write_plan(inbox.directory / "plan", document()) / ".ready").touch()
    assert names(inbox.scan()) == ["plan"]


@pytest.mark.parametrize("name", [".plan", "plan.tmp", "plan.part", "plan~", "accepted", "rejected"])
def test_names_of_work_in_progress_are_passed_over(name: str, inbox: Inbox, clock: FakeClock) -> None:
    """Hidden names, half names and the shelves are no plans."""
    write_plan(inbox.directory / name, document())
    inbox.scan()
    clock.now += 100
    assert inbox.scan() == ()


@pytest.mark.parametrize("content", ['{"metadata": {', "", "no JSON"])
def test_a_truncated_plan_is_first_not_yet_then_unfit(content: str, inbox: Inbox, clock: FakeClock) -> None:
    """What is no whole JSON is waited for some time after the last change, then refused with the reason."""
    write_plan(inbox.directory / "plan", content)
    inbox.scan()
    clock.now += 3
    assert inbox.scan() == ()
    clock.now += 8
    (found,) = inbox.scan()
    assert isinstance(found, Unfit)
    assert "no whole JSON" in found.refused.what


def test_a_broken_plan_that_says_it_is_ready_is_not_waited_for(inbox: Inbox) -> None:
    """The producer's word that all is there is taken."""
    (write_plan(inbox.directory / "plan", "{") / ".ready").touch()
    (found,) = inbox.scan()
    assert isinstance(found, Unfit)


def test_a_directory_without_a_plan_is_unfit_in_the_end(inbox: Inbox, clock: FakeClock) -> None:
    """An empty directory is waited for and then refused by the name of what is missing."""
    (inbox.directory / "empty").mkdir()
    inbox.scan()
    clock.now += 11
    (found,) = inbox.scan()
    assert isinstance(found, Unfit)
    assert "master_training_plan.json" in found.refused.what


def test_what_is_no_directory_is_unfit_once_quiet(inbox: Inbox, clock: FakeClock) -> None:
    """A link, a pipe and a file are refused, after the settle time, and none is opened."""
    (inbox.directory / "link").symlink_to("/etc")
    os.mkfifo(inbox.directory / "pipe")
    (inbox.directory / "file.json").write_text("{}")
    assert inbox.scan() == ()
    clock.now += 3
    found = inbox.scan()
    assert names(found) == ["file.json", "link", "pipe"]
    assert all(isinstance(one, Unfit) for one in found)


def test_busy_names_are_not_taken_twice(inbox: Inbox) -> None:
    """A plan that is being judged is not handed out again."""
    drop(inbox.directory, "plan", document())
    assert inbox.scan(moved_in=["plan"], busy=["plan"]) == ()


def test_what_cannot_be_moved_is_left_alone_until_it_changes(inbox: Inbox) -> None:
    """A name that stays is not judged again at every scan, but is once it looks different."""
    plan = drop(inbox.directory, "plan", document())
    inbox.leave_alone("plan")
    assert inbox.scan(moved_in=["plan"]) == ()
    (plan / "new").touch()
    assert names(inbox.scan(moved_in=["plan"])) == ["plan"]


def test_a_folder_open_to_all_is_refused(tmp_path: Path) -> None:
    """Where everybody may write, everybody may run work as the daemon."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox").chmod(0o777)
    with pytest.raises(InboxUnsafe, match="chmod o-w"):
        Inbox(tmp_path / "inbox", settle_seconds=0).open()


def test_the_watcher_knows_what_was_renamed_in(tmp_path: Path) -> None:
    """A directory made in the folder is a hint; one renamed in is known to be whole."""
    bell, folder = Bell(), tmp_path / "inbox"
    folder.mkdir()
    watcher = Watcher(folder, bell)
    assert watcher.start()
    (folder / "copied").mkdir()
    await_that(bell.heard, "ring")
    assert watcher.moved_in() == frozenset()
    write_plan(tmp_path / "elsewhere", document()).rename(folder / "whole")
    write_plan(folder / ".hidden", document()).rename(folder / "shown")
    seen: set[str] = set()
    await_that(lambda: seen.update(watcher.moved_in()) or seen == {"whole", "shown"}, "two names")
    watcher.stop()
    bell.close()


def test_an_accepted_plan_goes_to_its_shelf(inbox: Inbox) -> None:
    """The first lands under its plan id with a receipt; the same again is kept beside, and its name noted."""
    for name in ("one", "two"):
        drop(inbox.directory, name, document())
        shelf = shelve_accepted(
            inbox.directory, inbox.descriptor, name, plan_id="p_1", receipt={"sentence": f"taken as {name}"}
        )
    assert shelf == inbox.directory / "accepted" / "p_1"
    assert (shelf / ".dropped-as").read_text().split() == ["one", "two"]
    assert json.loads((shelf / "receipt.json").read_text())["sentence"] == "taken as one"
    assert json.loads((shelf / "again" / "two" / "receipt.json").read_text())["sentence"] == "taken as two"
    assert sorted(path.name for path in inbox.directory.iterdir()) == ["accepted", "rejected"]


REJECTED = PlanRejected(source="inbox/plan", place="jobs[3].target", sentence="unknown target", fix="Try y_a")


def test_a_rejected_plan_carries_its_reason(inbox: Inbox) -> None:
    """REASON.txt begins with the sentence; reason.json says the same for programs; names never clash."""
    for _ in range(2):
        drop(inbox.directory, "plan", document())
        shelf = shelve_rejected(inbox.directory, inbox.descriptor, "plan", REJECTED)
    assert shelf == inbox.directory / "rejected" / "plan-2"
    first = inbox.directory / "rejected" / "plan"
    assert (first / "REASON.txt").read_text().splitlines()[0] == "unknown target"
    assert json.loads((first / "reason.json").read_text())["place"] == "jobs[3].target"
    assert (first / "master_training_plan.json").exists()


def test_the_reason_is_not_written_through_a_link(inbox: Inbox, tmp_path: Path) -> None:
    """A link laid where REASON.txt goes is replaced; what it points to stays as it was."""
    target = tmp_path / "precious"
    target.write_text("precious")
    plan = drop(inbox.directory, "plan", document())
    (plan / "REASON.txt").symlink_to(target)
    shelf = shelve_rejected(inbox.directory, inbox.descriptor, "plan", REJECTED)
    assert target.read_text() == "precious"
    assert not (shelf / "REASON.txt").is_symlink()


def test_a_link_is_moved_itself(inbox: Inbox, tmp_path: Path) -> None:
    """A rejected link goes into a directory with its reason; where it leads nothing happens."""
    (tmp_path / "there").mkdir()
    (inbox.directory / "link").symlink_to(tmp_path / "there")
    shelf = shelve_rejected(inbox.directory, inbox.descriptor, "link", REJECTED)
    assert (shelf / "link").is_symlink()
    assert (shelf / "REASON.txt").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_name_that_is_no_text_gets_one(inbox: Inbox) -> None:
    """A directory whose name is not UTF-8 is rejected under a safe name like it."""
    (inbox.directory / os.fsdecode(b"pl\xffan")).mkdir()
    shelf = shelve_rejected(inbox.directory, inbox.descriptor, os.fsdecode(b"pl\xffan"), REJECTED)
    assert shelf.name.isascii()
    assert (shelf / "REASON.txt").exists()
