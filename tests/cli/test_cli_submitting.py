"""``submit``: the plan goes into the drop folder, the daemon's receipt comes back."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_samples import Call, living_daemon, write_data
from store_samples import cs_job, document

from daemon.cli.submitting import daemon_at_work
from daemon.handing_over import NotHandedOver, drop, find_receipt, wait_for_receipt
from daemon.inbox import Inbox
from daemon.shelves import shelve_accepted, shelve_rejected
from store import PlanRejected, PlanStore

RECEIPT = {"plan": "p_1", "new": True, "sentence": "accepted as p_1", "jobs": 2, "fits": 5}
AGAIN = {"plan": "p_1", "new": False, "sentence": "already accepted as p_1, no new jobs"}


@pytest.fixture
def plan_dir(folder: Path) -> Path:
    """A results directory with a plan in it, and things that are nobody else's."""
    place = folder / "mine" / "globals" / "training_plan"
    place.mkdir(parents=True)
    (place / "master_training_plan.json").write_text(json.dumps(document(cs_job("fwd_ret_1d"))))
    (folder / "mine" / "trainwright.db").write_bytes(b"log")
    (folder / "mine" / "cache").mkdir()
    return folder / "mine"


@pytest.fixture
def inbox(folder: Path) -> Iterator[Inbox]:
    """An open drop folder."""
    found = Inbox(folder / "inbox", settle_seconds=0)
    found.open()
    yield found
    found.close()


def test_what_is_dropped_appears_as_a_whole(folder: Path, plan_dir: Path) -> None:
    """No database, no cache, no half copy, and a name of its own each time."""
    first, second = drop(plan_dir, folder / "inbox"), drop(plan_dir, folder / "inbox")
    assert first != second
    assert {path.name for path in first.iterdir()} == {"globals"}
    assert sorted(path.name for path in (folder / "inbox").iterdir()) == sorted([first.name, second.name])


def test_the_group_of_the_folder_can_take_what_was_handed_in(folder: Path, plan_dir: Path) -> None:
    """A folder of a group: the copy is the group's to read and to move, whatever modes it was made with."""
    (folder / "inbox").mkdir()
    (folder / "inbox").chmod(0o2770)
    (plan_dir / "globals").chmod(0o700)
    master = plan_dir / "globals" / "training_plan" / "master_training_plan.json"
    master.chmod(0o600)
    dropped = drop(plan_dir, folder / "inbox")
    assert [path.stat().st_mode & 0o070 for path in (dropped, dropped / "globals")] == [0o070, 0o070]
    assert (dropped / master.relative_to(plan_dir)).stat().st_mode & 0o777 == 0o640


def test_a_plan_is_handed_in_under_the_sandbox_of_the_service(
    folder: Path, plan_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is scheduled runs where nobody may change an owner, nor set the group's bit: nothing needs it."""

    def forbidden(path: Path, *_owner: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    (folder / "inbox").mkdir()
    (folder / "inbox").chmod(0o2770)
    monkeypatch.setattr(os, "chown", forbidden)
    dropped = drop(plan_dir, folder / "inbox")
    modes = [path.stat().st_mode for path in (dropped, *dropped.rglob("*"))]
    assert not any(mode & stat.S_ISGID for mode in modes)


def test_a_copy_that_fails_leaves_nothing(folder: Path, plan_dir: Path) -> None:
    """A file that cannot be copied ends the hand-over without a trace."""
    (plan_dir / "broken").symlink_to("nowhere")
    with pytest.raises(NotHandedOver, match="broken"):
        drop(plan_dir, folder / "inbox")
    assert list((folder / "inbox").iterdir()) == []


def test_the_receipt_of_a_new_plan_counts_jobs_and_fits(folder: Path, plan_dir: Path, inbox: Inbox) -> None:
    """Found under the name that was dropped."""
    dropped = drop(plan_dir, folder / "inbox")
    assert find_receipt(folder / "inbox", dropped.name) is None
    shelve_accepted(folder / "inbox", inbox.descriptor, dropped.name, plan_id="p_1", receipt=RECEIPT)
    receipt = find_receipt(folder / "inbox", dropped.name)
    assert receipt is not None
    assert (receipt.accepted, receipt.new, receipt.plan) == (True, True, "p_1")
    assert receipt.lines == ("accepted as p_1: 2 jobs, 5 fits",)


def test_the_same_plan_again_gets_a_receipt_of_its_own(folder: Path, plan_dir: Path, inbox: Inbox) -> None:
    """Already accepted, no new jobs; the first receipt stays what it was."""
    names = [drop(plan_dir, folder / "inbox").name for _ in range(2)]
    for name, told in zip(names, (RECEIPT, AGAIN), strict=True):
        shelve_accepted(folder / "inbox", inbox.descriptor, name, plan_id="p_1", receipt=told)
    first, second = (find_receipt(folder / "inbox", name) for name in names)
    assert first is not None
    assert second is not None
    assert (first.new, second.new) == (True, False)
    assert second.lines == ("already accepted as p_1, no new jobs",)


def test_a_rejection_brings_its_reason(folder: Path, plan_dir: Path, inbox: Inbox) -> None:
    """The sentence first, then place and fix, and where it was put."""
    dropped = drop(plan_dir, folder / "inbox")
    rejected = PlanRejected(source="inbox/x", place="jobs[0]", sentence="it is wrong", fix="Mend it")
    shelve_rejected(folder / "inbox", inbox.descriptor, dropped.name, rejected)
    receipt = wait_for_receipt(dropped, is_late=lambda: False)
    assert receipt is not None
    assert (receipt.accepted, receipt.plan, receipt.lines[0]) == (False, None, "it is wrong")
    assert receipt.place == folder / "inbox" / "rejected" / dropped.name


def test_waiting_ends_when_it_is_late(folder: Path, plan_dir: Path) -> None:
    """What nobody took has no receipt."""
    assert wait_for_receipt(drop(plan_dir, folder / "inbox"), is_late=lambda: True) is None


def test_without_a_daemon_the_plan_stays_and_the_code_is_five(
    call: Call, folder: Path, plan_dir: Path
) -> None:
    """At once, with the place where it lies and the command that takes it."""
    done = call("submit", "mine")
    assert done.code == 5
    assert "no daemon is at work here" in done.err
    assert "trainwright daemon" in done.err
    assert len(list((folder / "inbox").iterdir())) == 1


def test_a_daemon_that_does_not_answer_is_code_five_too(call: Call, plan_dir: Path, store: PlanStore) -> None:
    """It is there, but nobody took the plan in time."""
    assert not daemon_at_work(None, None)
    store.daemon_started(living_daemon())
    assert daemon_at_work(None, None)
    done = call("submit", "mine", "--wait-seconds", "0")
    assert done.code == 5
    assert "did not answer within 0 s" in done.err


def test_the_daemon_of_another_machine_does_not_take_what_is_dropped_here(
    call: Call, plan_dir: Path, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts that share a log have a drop folder each: nobody waits for one that cannot see this one."""
    here = living_daemon()
    name, _, *rest = here.worker.split("/")
    worker = "/".join((f"{name}-2", "another-boot", *rest))
    store.daemon_started(replace(here, worker=worker, host=f"{name}-2", boot_id="another-boot"))
    monkeypatch.setattr("store.queue_reading.QueueReading.is_shared", True)
    monkeypatch.setattr("daemon.views.waiting.dead_as_seen_by", lambda reader: lambda worker: False)
    done = call("submit", str(plan_dir))
    assert done.code == 5
    assert "no daemon is at work here" in done.err
    store.daemon_started(here)
    assert daemon_at_work(None, None)


def test_data_are_not_named_to_a_daemon_that_looks_elsewhere(
    call: Call, folder: Path, plan_dir: Path
) -> None:
    """An option that would be passed over is refused, and nothing is dropped."""
    told = call("submit", str(plan_dir), "--data-dir", str(folder))
    assert told.code == 2
    assert "--data-dir needs --now" in told.err
    assert not (folder / "inbox").exists() or not list((folder / "inbox").iterdir())


def test_a_dry_run_hands_nothing_over(call: Call, folder: Path, plan_dir: Path) -> None:
    """It checks the document and says what would be; a bad one is refused here already."""
    told = call("submit", "mine", "--dry-run").lines
    assert told[0].startswith("would train  cs_fwd_ret_1d  LightGBM, LSTM  because ")
    assert told[-1].startswith("would hand over 1 job, ")
    document = call("submit", "mine", "--dry-run", "--json").document
    assert (document["jobs"], document["known"]) == (1, False)
    assert document["would_train"][0]["reason"] in told[0]
    (folder / "bad").mkdir()
    (folder / "bad" / "master_training_plan.json").write_text('{"jobs": [{"job_id": 1}]}')
    done = call("submit", "bad")
    assert done.code == 3
    assert "jobs[0].job_id" in done.err
    assert not (folder / "inbox").exists()


def test_a_dry_run_says_what_could_not_be_trained(call: Call, plan_dir: Path) -> None:
    """Before it is handed over: an ensemble of one model, and a family that needs company."""
    place = plan_dir / "globals" / "training_plan" / "master_training_plan.json"
    jobs = [cs_job(target, families=("LightGBM", "Ensemble")) for target in ("a", "b")]
    place.write_text(json.dumps(document(*jobs)))
    words = "Ensemble of 2 jobs: it is made from 2 other fits at least, and its plan has 1 for it"
    assert f"left out  {words}" in call("submit", "mine", "--dry-run").out
    assert call("submit", "mine", "--dry-run", "--json").document["left_out"] == [words]


def test_a_receipt_says_what_cannot_be_trained(folder: Path, plan_dir: Path, inbox: Inbox) -> None:
    """In the daemon's words, once: a plan that is known already was told before."""
    names = [drop(plan_dir, folder / "inbox").name for _ in range(2)]
    for name, told in zip(names, (RECEIPT, AGAIN), strict=True):
        receipt = {**told, "left_out": ["NGBoost of 2 jobs: library ngboost not installed"]}
        shelve_accepted(folder / "inbox", inbox.descriptor, name, plan_id="p_1", receipt=receipt)
    first, second = (find_receipt(folder / "inbox", name) for name in names)
    assert first is not None
    assert second is not None
    assert first.lines[1:] == ("left out  NGBoost of 2 jobs: library ngboost not installed",)
    assert second.lines[1:] == ()


@pytest.fixture
def serving(folder: Path, call: Call) -> Iterator[None]:
    """A real daemon over the folder which trains nothing."""
    write_data(folder / "data", rows=150)
    words = ["daemon", "--data-dir", "data", "--cpu-slots", "0", "--gpu-slots", "0"]
    with (folder / "daemon.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "daemon.cli.main", *words], cwd=folder, stderr=log)
        try:
            wait_until(lambda: "daemon started" in (folder / "daemon.log").read_text(), process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Look until it is so; fails when the process ends before."""
    while not is_so():
        assert process.poll() is None
        os.sched_yield()


def test_a_real_daemon_accepts_knows_and_rejects(
    call: Call, folder: Path, plan_dir: Path, serving: None
) -> None:
    """Three hand-overs, three receipts: new, already accepted, rejected with the nearest name."""
    first = call("submit", "mine")
    assert first.code == 0
    assert "1 job, 2 fits" in first.out
    plan = first.out.split()[2].rstrip(":")
    second = call("submit", "mine", "--json")
    assert (second.code, second.document["new"], second.document["plan"]) == (0, False, plan)
    (folder / "bad").mkdir()
    (folder / "bad" / "training_plan.json").write_text(json.dumps(document(cs_job("fwd_ret_1"))))
    third = call("submit", "bad")
    assert (third.code, third.out) == (3, "")
    assert "fwd_ret_1d" in third.err
    assert len(third.err.splitlines()) <= 6
    assert call("status", "--json").document["plans"][0]["id"] == plan
