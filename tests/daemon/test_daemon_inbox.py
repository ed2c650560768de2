"""The drop folder says what is complete: renamed in, marked ready, or quiet for the settle time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import FakeClock, document, drop, write_plan

from daemon.errors import InboxUnsafe, Refused
from daemon.inbox import Dropped, Inbox, Unfit

Found = Dropped | Unfit


@pytest.fixture
def clock() -> FakeClock:
    """A clock for the settle time."""
    return FakeClock()


@pytest.fixture
def inbox(tmp_path: Path, clock: FakeClock) -> Iterator[Inbox]:
    """An open drop folder with a settle time of 2 s."""
    made = Inbox(tmp_path / "inbox", settle_seconds=2.0, copies=tmp_path / "copies", clock=clock)
    made.open()
    yield made
    made.close()


def scanned(inbox: Inbox, *, busy: tuple[str, ...] = ()) -> list[Found]:
    """What a look through the folder finds."""
    inbox.scan()
    return [one for one in inbox.found(busy=busy) if one is not None]


def names(found: list[Found]) -> list[str]:
    """The names of what was found."""
    return [one.name for one in found]


def test_what_was_renamed_in_is_taken_at_once(inbox: Inbox) -> None:
    """A directory known to have come in whole waits for nothing, and is taken before all that lies there."""
    write_plan(inbox.directory / "a", document())
    drop(inbox.directory, "plan", document())
    inbox.scan()
    inbox.note(["plan"])
    found = next(one for one in inbox.found())
    assert isinstance(found, Dropped)
    assert json.loads(found.copy.read_bytes()) == document()
    assert found.uids == (os.getuid(),)


def test_what_is_copied_in_is_taken_when_it_is_quiet(inbox: Inbox, clock: FakeClock) -> None:
    """Every change begins the settle time anew."""
    plan = write_plan(inbox.directory / "plan", document())
    assert scanned(inbox) == []
    clock.now += 1.5
    (plan / "by_target").mkdir()
    assert scanned(inbox) == []
    clock.now += 1.5
    assert scanned(inbox) == []
    assert inbox.unsettled
    clock.now += 1
    assert names(scanned(inbox)) == ["plan"]


def test_ready_ends_the_waiting(inbox: Inbox) -> None:
    """With `.ready` in it a directory is taken at once."""
    (write_plan(inbox.directory / "plan", document()) / ".ready").touch()
    assert names(scanned(inbox)) == ["plan"]


@pytest.mark.parametrize("name", [".plan", "plan.tmp", "plan.part", "plan~", "accepted", "rejected"])
def test_names_of_work_in_progress_are_passed_over(name: str, inbox: Inbox, clock: FakeClock) -> None:
    """Hidden names, half names and the shelves are no plans, also where they were renamed in."""
    write_plan(inbox.directory / name, document())
    inbox.scan()
    clock.now += 100
    inbox.note([name])
    assert scanned(inbox) == []


def test_what_is_not_whole_is_first_not_yet_then_unfit(inbox: Inbox, clock: FakeClock) -> None:
    """What ends too early, says its reader, is read no more until it changes, and refused in the end."""
    lacks = Refused("it ends in the middle", where="line 1", fix="Write it whole")
    drop(inbox.directory, "plan", '{"jobs": [')
    inbox.note(["plan"])
    (dropped,) = [one for one in inbox.found() if isinstance(one, Dropped)]
    assert not dropped.final
    inbox.not_whole(dropped, lacks)
    clock.now += 3
    assert scanned(inbox) == []
    clock.now += 8
    (found,) = scanned(inbox)
    assert isinstance(found, Unfit)
    assert found.refused is lacks


def test_what_was_not_whole_is_read_again_when_it_changes(inbox: Inbox, clock: FakeClock) -> None:
    """The producer writes on: the new text is read, whatever was said of the old one."""
    plan = write_plan(inbox.directory / "plan", '{"jobs": [')
    inbox.scan()
    list(inbox.found())
    clock.now += 3
    (dropped,) = scanned(inbox)
    assert isinstance(dropped, Dropped)
    inbox.not_whole(dropped, Refused("not whole", where="", fix=""))
    write_plan(plan, document())
    clock.now += 1
    assert scanned(inbox) == []
    clock.now += 3
    (again,) = scanned(inbox)
    assert isinstance(again, Dropped)
    assert json.loads(again.copy.read_bytes()) == document()


def test_a_producer_that_says_it_is_ready_is_not_waited_for(inbox: Inbox) -> None:
    """The producer's word that all is there is taken: not whole is refused."""
    (write_plan(inbox.directory / "plan", "{") / ".ready").touch()
    (found,) = scanned(inbox)
    assert isinstance(found, Dropped)
    assert found.final


def test_a_directory_without_a_plan_is_unfit_in_the_end(inbox: Inbox, clock: FakeClock) -> None:
    """An empty directory is waited for and then refused by the name of what is missing."""
    (inbox.directory / "empty").mkdir()
    scanned(inbox)
    clock.now += 11
    (found,) = scanned(inbox)
    assert isinstance(found, Unfit)
    assert "master_training_plan.json" in found.refused.what


def test_what_is_no_directory_is_unfit_once_quiet(inbox: Inbox, clock: FakeClock) -> None:
    """A link, a pipe and a file are refused, after the settle time, and none is opened."""
    (inbox.directory / "link").symlink_to("/etc")
    os.mkfifo(inbox.directory / "pipe")
    (inbox.directory / "file.json").write_text("{}")
    assert scanned(inbox) == []
    clock.now += 3
    found = scanned(inbox)
    assert names(found) == ["file.json", "link", "pipe"]
    assert all(isinstance(one, Unfit) for one in found)


def test_what_vanishes_is_nobodys_fault(inbox: Inbox) -> None:
    """A name that is gone when its turn comes is neither taken nor refused, and forgotten."""
    plan = drop(inbox.directory, "plan", document())
    inbox.note(["plan"])
    shutil.rmtree(plan)
    assert list(inbox.found()) == [None]
    assert not inbox.unsettled


def test_busy_names_are_not_taken_twice(inbox: Inbox) -> None:
    """A plan that is being judged is not handed out again."""
    drop(inbox.directory, "plan", document())
    inbox.note(["plan"])
    assert scanned(inbox, busy=("plan",)) == []


def test_what_cannot_be_moved_is_left_alone_until_it_changes(inbox: Inbox) -> None:
    """A name that stays is not judged again at every scan, but is once it looks different."""
    plan = drop(inbox.directory, "plan", document())
    inbox.leave_alone("plan")
    inbox.note(["plan"])
    assert scanned(inbox) == []
    (plan / ".ready").touch()
    assert names(scanned(inbox)) == ["plan"]


def test_many_that_wait_are_looked_at_less_often(inbox: Inbox, clock: FakeClock) -> None:
    """What is not complete is not due at once: however much waits, looking takes a small share of time."""
    for number in range(50):
        write_plan(inbox.directory / f"{number}", document())
    assert scanned(inbox) == []
    inbox.scan()
    assert not inbox.due
    clock.now += 2.1
    inbox.scan()
    assert inbox.due


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: (path.mkdir(), path.chmod(0o777)), "chmod o-w"),
        (lambda path: (path.with_name("real").mkdir(), path.symlink_to("real")), "name the directory itself"),
    ],
)
def test_a_folder_that_others_could_turn_is_refused(spoil: object, words: str, tmp_path: Path) -> None:
    """Where everybody may write, or turn a link, everybody may run work as the daemon."""
    assert callable(spoil)
    spoil(tmp_path / "inbox")
    with pytest.raises(InboxUnsafe, match=words):
        Inbox(tmp_path / "inbox", settle_seconds=0).open()


def remade(inbox: Path) -> None:
    """Remove the folder and make it again."""
    shutil.rmtree(inbox)
    inbox.mkdir()


def renamed(inbox: Path) -> None:
    """Move the folder away and make another."""
    inbox.rename(inbox.with_name("inbox.old"))
    inbox.mkdir()


@pytest.mark.parametrize("spoil", [shutil.rmtree, remade, renamed])
def test_a_folder_that_was_replaced_is_taken_up(spoil: object, inbox: Inbox) -> None:
    """Removed or replaced: the one that has the name now is held on to, and made if there is none."""
    assert callable(spoil)
    spoil(inbox.directory)
    assert inbox.renew()
    assert inbox.trouble is None
    assert sorted(path.name for path in inbox.directory.iterdir()) == ["accepted", "rejected"]
    drop(inbox.directory, "plan", document())
    inbox.note(["plan"])
    assert names([one for one in inbox.found() if one]) == ["plan"]
    assert not inbox.renew()


def linked(inbox: Path) -> None:
    """Put a link in the place of the folder."""
    inbox.rename(inbox.with_name("inbox.old"))
    inbox.symlink_to("inbox.old")


def opened_to_all(inbox: Path) -> None:
    """Let everybody write there."""
    inbox.chmod(0o777)


def not_a_directory(inbox: Path) -> None:
    """Put a file in the place of the folder."""
    shutil.rmtree(inbox)
    inbox.write_text("")


def closed_again(inbox: Path) -> None:
    """Let only the owner write there."""
    inbox.chmod(0o755)


def put_back(inbox: Path) -> None:
    """Put the folder back in the place of the link."""
    inbox.unlink()
    inbox.with_name("inbox.old").rename(inbox)


def made_again(inbox: Path) -> None:
    """Remove the file."""
    inbox.unlink()


@pytest.mark.parametrize(
    ("spoil", "heal", "words"),
    [
        (opened_to_all, closed_again, "everybody on this machine may write into it"),
        (linked, put_back, "a symbolic link"),
        (not_a_directory, made_again, "it is no directory"),
    ],
)
def test_a_folder_that_cannot_be_used_is_left_until_it_can(
    spoil: object, heal: object, words: str, inbox: Inbox
) -> None:
    """While it cannot be used nothing is held or taken and the sentence says why; then it is taken up."""
    assert callable(spoil)
    assert callable(heal)
    spoil(inbox.directory)
    assert not inbox.renew()
    assert inbox.trouble is not None
    assert words in inbox.trouble
    assert inbox.descriptor == -1
    heal(inbox.directory)
    assert inbox.renew()
    assert inbox.trouble is None


def test_a_folder_whose_disk_is_gone_is_not_made_elsewhere(tmp_path: Path) -> None:
    """Where the directory above is another one by now the folder is waited for, not made there."""
    disk = tmp_path / "disk"
    made = Inbox(disk / "inbox", settle_seconds=0)
    made.open()
    disk.rename(tmp_path / "unmounted")
    disk.mkdir()
    assert not made.renew()
    assert made.trouble is not None
    assert list(disk.iterdir()) == []
    disk.rmdir()
    (tmp_path / "unmounted").rename(disk)
    assert made.renew()
    made.close()
