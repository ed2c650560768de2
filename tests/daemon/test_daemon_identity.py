"""A worker's name tells whether its process can still be alive."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.identity import (
    Identity,
    booted_at,
    is_dead,
    is_stopped,
    machine_of,
    own_identity,
    start_ticks,
    unit_name,
)


def test_the_name_gives_the_identity_back() -> None:
    """A worker's name holds everything an identity has."""
    here = own_identity()
    assert Identity.of_worker(here.worker) == here
    assert here.pid == os.getpid()


def test_a_living_process_is_not_dead() -> None:
    """This process is alive."""
    assert not is_dead(own_identity().worker)


def test_an_ended_process_is_dead() -> None:
    """A process that ran on this boot and runs no more is dead, also while nobody has collected it."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    gone = replace(own_identity(), pid=process.pid, started=1)
    assert is_dead(gone.worker)
    assert start_ticks(process.pid) is None
    process.wait()
    assert is_dead(gone.worker)


def test_a_reused_pid_is_another_process() -> None:
    """The same pid with another start time is not the process that claimed."""
    here = own_identity()
    assert is_dead(replace(here, started=here.started + 1).worker)


MACHINE, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize(
    ("asked", "own", "alone", "dead"),
    [
        (MACHINE, MACHINE, False, True),
        (MACHINE, MACHINE, True, True),
        (OTHER, MACHINE, True, False),
        (OTHER, MACHINE, False, False),
        ("", MACHINE, True, True),
        ("", MACHINE, False, False),
        (MACHINE, "", False, False),
        ("", "", True, True),
    ],
)
def test_another_boot_of_this_machine_means_dead(asked: str, own: str, *, alone: bool, dead: bool) -> None:
    """No process outlives its boot; which machine's boot it was, the name of the host tells only so well."""
    here = replace(own_identity(), machine=own)
    before = replace(here, boot_id="0" * 8, machine=asked)
    assert is_dead(before.worker, here=here, alone=alone) is dead
    assert not is_dead(replace(before, host="elsewhere").worker, here=here, alone=alone)


def test_a_machine_is_known_by_a_hash_of_its_id(tmp_path: Path) -> None:
    """It is the same at every asking, another for another machine, and does not give the id away."""
    told = set()
    for number, said in enumerate(("0" * 31 + "1", "0" * 31 + "2")):
        path = tmp_path / str(number)
        path.write_text(f"{said}\n", encoding="ascii")
        assert machine_of(path) == machine_of(path)
        assert said[:16] not in machine_of(path)
        told.add(machine_of(path))
    assert {len(one) for one in told} == {16}
    assert len(told) == 2


@pytest.mark.parametrize("said", [b"", b"uninitialized\n", b"\xff" * 32, b"G" * 32])
def test_a_machine_without_an_id_is_not_known(tmp_path: Path, said: bytes) -> None:
    """What is no id, as an image leaves it that was never started, tells nothing; nor does a missing file."""
    path = tmp_path / "machine-id"
    path.write_bytes(said)
    assert machine_of(path) == ""
    assert machine_of(tmp_path / "missing") == ""


def test_names_of_older_versions_are_read() -> None:
    """A worker's name of five parts is a process of a machine that is not known."""
    asked = Identity.of_worker("a/b/1/2/3")
    assert asked == Identity(host="a", boot_id="b", namespace=1, pid=2, started=3)
    assert asked == Identity.of_worker("a/b/1/2/3/")


def test_the_boot_is_the_machine_whatever_the_host_is_called() -> None:
    """A process that ended on this boot is dead under any name of its host; a living one is alive."""
    here = own_identity("a/name")
    assert here.host == "a_name"
    assert not is_dead(here.worker)
    assert is_dead(replace(here, started=here.started + 1).worker)
    assert not is_dead(replace(here, boot_id="0" * 8).worker), "an image with its machine-id may be copied"


def test_the_boot_and_the_unit_are_told() -> None:
    """The machine was started before now; a unit is the innermost service, or none."""
    booted = booted_at()
    assert booted is not None
    assert booted < datetime.now(UTC)
    assert unit_name() is None or str(unit_name()).endswith(".service")


@pytest.mark.parametrize(
    "change", [{"host": "elsewhere", "boot_id": "x"}, {"namespace": 1, "pid": 4_000_000}]
)
def test_what_cannot_be_seen_from_here_is_left_alive(change: dict[str, object]) -> None:
    """Processes of other hosts and of other containers are left to their leases."""
    assert not is_dead(replace(own_identity(), **change).worker)


@pytest.mark.parametrize("worker", ["", "somebody", "a/b/c/d/e", "a/b/1/2", "a/b/1/2/3/4", "a/b/1/2/3/4/5"])
def test_a_name_of_another_kind_is_left_alive(worker: str) -> None:
    """A name that is no identity says nothing about a process."""
    assert Identity.of_worker(worker) is None
    assert not is_dead(worker)


def test_a_stopped_process_is_seen() -> None:
    """SIGSTOP is visible from outside; a process that is gone is not stopped."""
    process = subprocess.Popen(["sleep", "600"])
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert is_stopped(process.pid)
    process.kill()
    process.wait()
    assert not is_stopped(process.pid)
