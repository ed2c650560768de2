"""`systemctl stop` in each stage of the daemon's life: success within the limit, and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
import reporting
from booted_host import LONG_PARAMS, STATE, UNIT, TrainingHost
from daemon_samples import write_data

ROUNDS = 20 if reporting.LONG else 1
PROGRAM = "/opt/trainwright/defect.py"
READY = """
import os, signal, socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""
DEFECTS = {
    "deaf": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()", "TimeoutStopSec=1s"),
    "failing": ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\nsignal.pause()",),
    "careless": (
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\nos.fork()\nsignal.pause()",
        "KillMode=process",
    ),
}
STOPS: list[float] = []  # how long each took, in seconds
DICE = random.Random(90)  # noqa: S311  no secret


def before_ready(host: TrainingHost, name: str) -> None:
    """The process runs, and has not said that it is ready."""
    host.systemctl("start", "--no-block")
    pid = host.await_that(lambda: host.pid, "process")
    ticks = DICE.randint(0, 40)  # hundredths of a second of work
    host.await_that(lambda: host.worked(pid) >= ticks, "work of the daemon")


def waiting(host: TrainingHost, name: str) -> None:
    """Nothing is to be done."""
    host.start()


def judging(host: TrainingHost, name: str) -> None:
    """A plan is being looked at."""
    host.start()
    before = host.processes()
    host.drop(name, ("LightGBM",), reason=name, metadata={"data_dir": str(STATE / "large")})
    host.await_that(lambda: host.processes() - before or len(host.events("PlanAccepted")), "look at the plan")


def claiming(host: TrainingHost, name: str) -> None:
    """A fit was claimed, and a server for its libraries is starting."""
    host.start()
    plan = host.take(name, ("XGBoost",))
    host.await_events("FitClaimed", where=lambda event: event["plan"] == plan)


def cpu_fit(host: TrainingHost, name: str) -> None:
    """A fit of the CPU stage is in the middle of its training."""
    host.start()
    plan = host.take(name, ("LightGBM",))
    host.await_events("CheckpointSaved", where=lambda event: event["plan"] == plan)


def gpu_fit(host: TrainingHost, name: str) -> None:
    """A fit of the GPU stage is in the middle of its training."""
    host.start()
    plan = host.take(name, ("MLP",))
    host.await_events("CheckpointSaved", where=lambda event: event["plan"] == plan)


STAGES = (before_ready, waiting, judging, claiming, cpu_fit, gpu_fit)


@pytest.fixture(scope="module")
def stopping_host(host: TrainingHost) -> TrainingHost:
    """A host with fits that last, and one data folder that takes a while to look at."""
    host.configure(params=LONG_PARAMS)
    write_data(host.machine.path(STATE / "large"), rows=60_000, symbols=[f"S{n}" for n in range(6)])
    return host


def check_stopped(host: TrainingHost, codes: tuple[str, ...]) -> float:
    """The service ended well and left no process; returns how long it took, in seconds."""
    asked = host.machine.seconds()
    host.stop()
    seconds = host.machine.seconds() - asked
    assert (host.shown("ActiveState"), host.shown("Result")) == ("inactive", "success")
    assert host.shown("ExecMainStatus") in codes
    assert not host.processes()
    return seconds


@pytest.mark.slow
@pytest.mark.timeout(7200 if reporting.LONG else 900)
@pytest.mark.parametrize("reach", STAGES, ids=lambda reach: reach.__name__)
def test_a_stop_ends_well(stopping_host: TrainingHost, reach: Callable[[TrainingHost, str], None]) -> None:
    """In whatever stage it is, the daemon ends with success, within the limit, and leaves nobody behind."""
    seconds = []
    # Before the daemon's own code runs, SIGTERM ends the interpreter as it ends any process: a success too.
    codes = ("0", "15") if reach is before_ready else ("0",)
    for number in range(ROUNDS):
        reach(stopping_host, f"{reach.__name__}{number}")
        seconds.append(check_stopped(stopping_host, codes))
    assert max(seconds) < stopping_host.span_seconds("TimeoutStopUSec")
    STOPS.extend(seconds)
    reporting.report("booted: stop in each stage", faults=len(seconds), seconds=sum(seconds))
    found = f"{len(STOPS)} of {len(STOPS)} ended well, the slowest after {max(STOPS):.1f} s"
    reporting.figure("stop in every stage", found, bar="exit 0 inside the stop timeout", met=True)


@pytest.mark.slow
def test_what_was_stopped_is_finished(stopping_host: TrainingHost) -> None:
    """Fits that were stopped were given back with their state, and end after the next start, each once."""
    host = stopping_host
    released = host.events("FitReleased")
    assert released
    assert {event["data"]["cause"] for event in released} == {"stopped by SIGTERM"}
    assert not host.events("LeaseExpired")
    host.configure()
    host.start()
    host.await_that(lambda: "nothing is left to do" in host.command("status").stdout, "end of the work")
    done = Counter(event["fit"] for event in host.events("FitSucceeded"))
    assert set(done.values()) == {1}
    assert {event["fit"] for event in released} <= set(done)
    assert UNIT in host.systemctl("status")


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(stopping_host: TrainingHost, defect: str) -> None:
    """A service that ignores the stop, ends with an error or leaves somebody behind does not pass."""
    host = stopping_host
    host.stop()
    code, *lines = DEFECTS[defect]
    host.machine.write(PROGRAM, f"{READY}\n{code}\n")
    command = f"ExecStart=/usr/bin/env /opt/trainwright/.venv/bin/python {PROGRAM}"
    host.change_unit("defect", "ExecStart=", command, "Restart=no", *lines)
    host.start()
    with pytest.raises(AssertionError):
        check_stopped(host, ("0",))
    reporting.report("booted: stop in each stage", mutants=1, mutants_caught=1)
    host.machine.call("systemctl", "kill", "--kill-whom=all", "--signal=KILL", UNIT)
    host.machine.call("systemctl", "reset-failed", UNIT)
    host.await_that(lambda: not host.processes(), "end of what was left behind")
