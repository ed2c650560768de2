"""What was dropped goes to its shelf with a receipt or a reason, whatever lies in the way."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import document, drop

from daemon.inbox import Inbox
from daemon.shelves import shelve_accepted, shelve_rejected
from store import PlanRejected

NOBODY = 65534
REJECTED = PlanRejected(source="inbox/plan", place="jobs[3].target", sentence="unknown target", fix="Try y_a")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    """An open drop folder."""
    made = Inbox(tmp_path / "inbox", settle_seconds=0)
    made.open()
    yield made
    made.close()


def accept(inbox: Inbox, name: str, **more: Any) -> Path:
    """Shelve a name as accepted."""
    receipt = {"sentence": f"taken as {name}"}
    given: dict[str, Any] = {"plan_id": "p_1", "receipt": receipt, **more}
    return shelve_accepted(inbox.directory, inbox.descriptor, name, **given)


def reject(inbox: Inbox, name: str, **more: Any) -> Path:
    """Shelve a name as rejected."""
    return shelve_rejected(inbox.directory, inbox.descriptor, name, REJECTED, **more)


def test_an_accepted_plan_goes_to_its_shelf(inbox: Inbox) -> None:
    """The first lands under its plan id with a receipt; the same again is kept beside, and its name noted."""
    for name in ("one", "two"):
        drop(inbox.directory, name, document())
        shelf = accept(inbox, name)
    assert shelf == inbox.directory / "accepted" / "p_1"
    assert (shelf / ".dropped-as").read_text().split() == ["one", "two"]
    assert json.loads((shelf / "receipt.json").read_text())["sentence"] == "taken as one"
    assert json.loads((shelf / "again" / "two" / "receipt.json").read_text())["sentence"] == "taken as two"
    assert sorted(path.name for path in inbox.directory.iterdir()) == ["accepted", "rejected"]


def test_a_rejected_plan_carries_its_reason(inbox: Inbox) -> None:
    """REASON.txt begins with the sentence; reason.json says the same for programs; names never clash."""
    shelves = []
    for _ in range(12):
        drop(inbox.directory, "plan", document())
        shelves.append(reject(inbox, "plan"))
    assert len(set(shelves)) == 12
    assert shelves[1] == inbox.directory / "rejected" / "plan-2"
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
    shelf = reject(inbox, "plan")
    assert target.read_text() == "precious"
    assert not (shelf / "REASON.txt").is_symlink()


def test_a_directory_in_the_place_of_the_reason_is_put_aside(inbox: Inbox) -> None:
    """Whatever bears the name of what we write, the reason can be read under it."""
    (drop(inbox.directory, "plan", document()) / "REASON.txt").mkdir()
    assert "unknown target" in (reject(inbox, "plan") / "REASON.txt").read_text()


def test_a_link_is_moved_itself(inbox: Inbox, tmp_path: Path) -> None:
    """A rejected link goes into a directory with its reason; where it leads nothing happens."""
    (tmp_path / "there").mkdir()
    (inbox.directory / "link").symlink_to(tmp_path / "there")
    shelf = reject(inbox, "link")
    assert (shelf / "link").is_symlink()
    assert (shelf / "REASON.txt").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_name_that_is_no_text_gets_one(inbox: Inbox) -> None:
    """A name that is not UTF-8, or too long for a number at its end, becomes one like it."""
    for name in (os.fsdecode(b"pl\xffan"), "n" * 255):
        (inbox.directory / name).mkdir()
        shelf = reject(inbox, name)
        assert shelf.name.isascii()
        assert (shelf / "REASON.txt").exists()


@pytest.mark.parametrize("shelf", ["accepted", "rejected"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_shelf_that_was_replaced_is_put_aside(shelf: str, kind: str, inbox: Inbox, tmp_path: Path) -> None:
    """A link in the place of a shelf leads nothing out of the folder; the shelf is made anew."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (inbox.directory / shelf).rmdir()
    if kind == "link":
        (inbox.directory / shelf).symlink_to(outside)
    else:
        (inbox.directory / shelf).write_text("")
    drop(inbox.directory, "plan", document())
    place = accept(inbox, "plan") if shelf == "accepted" else reject(inbox, "plan")
    assert (place / "master_training_plan.json").exists()
    assert not (inbox.directory / shelf).is_symlink()
    assert list(outside.iterdir()) == []
    assert len(list(inbox.directory.glob(f"not-{shelf}-*"))) == 1


def test_another_directory_of_the_name_is_not_touched(inbox: Inbox, tmp_path: Path) -> None:
    """What was put in the place of the plan that was read stays; the shelf holds what was read."""
    copy = tmp_path / "copy"
    copy.write_text("what was read")
    plan = drop(inbox.directory, "plan", "another")
    shelf = accept(inbox, "plan", inode=(0, 0), copy=copy)
    assert (shelf / "master_training_plan.json").read_text() == "what was read"
    assert (plan / "master_training_plan.json").read_text() == "another"


def test_a_plan_that_is_gone_has_its_receipt(inbox: Inbox, tmp_path: Path) -> None:
    """Somebody took the directory back after it was read: what was read and the answer are on the shelf."""
    copy = tmp_path / "copy"
    copy.write_text("what was read")
    assert (accept(inbox, "plan", copy=copy) / "receipt.json").exists()
    assert (reject(inbox, "plan", copy=copy) / "master_training_plan.json").read_text() == "what was read"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user, who may not move the plan")
def test_a_plan_of_somebody_who_lets_nobody_move_it_is_hidden(inbox: Inbox) -> None:
    """A directory of another account may not leave the folder: it is hidden, and the shelf has a copy."""
    for path in (inbox.directory, *inbox.directory.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    for name in ("good", "bad"):
        drop(inbox.directory, name, document()).chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(NOBODY)
            accept(inbox, "good")
            reject(inbox, "bad")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (inbox.directory / "accepted" / "p_1" / "receipt.json").exists()
    assert (inbox.directory / "rejected" / "bad" / "REASON.txt").exists()
    left = sorted(path.name.rsplit("-", 1)[-1] for path in inbox.directory.glob(".taken-*"))
    assert left == ["bad", "good"]
    assert not (inbox.directory / "good").exists()


def test_whoever_hands_plans_in_may_read_the_answers(tmp_path: Path) -> None:
    """With a narrow umask too, shelves and receipts are as open to the group as the folder is."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    folder.chmod(0o2770)
    before = os.umask(0o077)
    try:
        made = Inbox(folder, settle_seconds=0)
        made.open()
        drop(folder, "good", document()).chmod(0o2770)
        (folder / "bad").write_text("")
        accept(made, "good")
        accept(made, "gone")
        reject(made, "bad")
        made.close()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*/**/*")}
    shelves = [stat.S_IMODE((folder / name).stat().st_mode) for name in ("accepted", "rejected")]
    assert shelves == [0o2750, 0o2750]
    assert modes["again"] == modes["gone"] == 0o2750
    assert modes["receipt.json"] == modes["REASON.txt"] == modes[".dropped-as"] == 0o640


def test_a_sandbox_that_forbids_the_group_bit_keeps_nothing_from_its_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the unit's RestrictSUIDSGID= shelves have the folder's group by it, and their rights by umask."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    folder.chmod(0o2770)
    chmod = os.fchmod

    def restricted(descriptor: int, mode: int) -> None:
        if mode & (stat.S_ISGID | stat.S_ISUID):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        chmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", restricted)
    before = os.umask(0o027)
    try:
        made = Inbox(folder, settle_seconds=0)
        made.open()
        (folder / "bad").write_text("")
        reject(made, "bad")
        made.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "rejected" / "bad").stat().st_mode) == 0o2750


def test_what_can_neither_be_moved_nor_hidden_says_so(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that takes no change at all raises, and nothing is half done."""
    drop(inbox.directory, "plan", document())

    def refused(*_words: object, **_more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="Read-only"):
        accept(inbox, "plan")
    assert list((inbox.directory / "accepted").iterdir()) == []
