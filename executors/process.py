"""One fit in a process of its own: start it, listen to it, stop it, say how it ended.

Such a process leads a process group of its own, talks over a pipe of JSON lines, writes what its libraries
print to a log, and dies with its parent. Nothing here imports a training library.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from executors.contract import (
    Checkpointed,
    Failed,
    FitSpec,
    Outcome,
    Report,
    Started,
    Stopped,
    Succeeded,
    decode,
)
from executors.errors import BadReport
from executors.lives import Life, OwnProcess

REPORT_FD = "TRAINWRIGHT_REPORT_FD"
LIFELINE_FD = "TRAINWRIGHT_LIFELINE_FD"
CONTROL_FD = "TRAINWRIGHT_CONTROL_FD"
PARENT_PID = "TRAINWRIGHT_PARENT_PID"
DEATH_SIGNAL = "TRAINWRIGHT_DEATH_SIGNAL"
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
# What fits and what judges plans have no use for: passwords, addresses that are one, and where they lie.
SECRETS = frozenset(
    {
        *("TRAINWRIGHT_DATABASE_URL", "TRAINWRIGHT_DAEMON__DATABASE_URL", "PGPASSWORD", "PGPASSFILE"),
        *("TRAINWRIGHT_WEBHOOK_URL", "TRAINWRIGHT_DAEMON__WEBHOOK_URL", "CREDENTIALS_DIRECTORY"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        *("FSSPEC_S3_KEY", "FSSPEC_S3_SECRET", "FSSPEC_S3_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"),
        *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN"),
        *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET"),
        *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    }
)

_KERNEL_COUNTERS = Path("/proc/vmstat")
_SENT_FROM_OUTSIDE = frozenset((signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
_LOG_TAIL_BYTES = 4000
_LOG_TAIL_LINES = 3
_WANTS_MEMORY = "bad_alloc"  # what the C++ runtime says last
_READ_BYTES = 65536


def start(spec: FitSpec, *, log_path: Path, spec_path: Path) -> Child:
    """Start a process of its own that does `spec` and return at once; it has yet to import everything.

    Args:
        spec: what to do.
        log_path: receives the child's standard output and error, appended.
        spec_path: where the spec is written for the child to read.

    Raises:
        OSError: a file cannot be written or no process can be had.
    """
    write_spec(spec, log_path=log_path, spec_path=spec_path)
    with contextlib.ExitStack() as undo:
        pipes = Pipes.opened()
        undo.callback(pipes.close_ours)
        environment = child_environment(spec, os.environ)
        environment |= {REPORT_FD: str(pipes.report_write), LIFELINE_FD: str(pipes.lifeline_read)}
        try:
            with log_path.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "executors.child", str(spec_path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    pass_fds=(pipes.report_write, pipes.lifeline_read),
                    start_new_session=True,
                )
        finally:
            pipes.close_theirs()
        undo.pop_all()
    return pipes.child(spec, OwnProcess(process), log_path=log_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """Between a fit's process and its parent: reports come up, and a lifeline that nobody writes to."""

    report_read: int
    report_write: int
    lifeline_read: int
    lifeline_write: int

    @classmethod
    def opened(cls) -> Pipes:
        """Open both pipes; raises OSError when there are no descriptors left."""
        report_read, report_write = os.pipe()
        try:
            lifeline_read, lifeline_write = os.pipe()
        except OSError:
            os.close(report_read)
            os.close(report_write)
            raise
        os.set_blocking(report_read, False)
        return cls(
            report_read=report_read,
            report_write=report_write,
            lifeline_read=lifeline_read,
            lifeline_write=lifeline_write,
        )

    def close_theirs(self) -> None:
        """Close the ends that are the fit's, which has them by now."""
        os.close(self.report_write)
        os.close(self.lifeline_read)

    def close_ours(self) -> None:
        """Close the ends that are the parent's: nothing was started."""
        os.close(self.report_read)
        os.close(self.lifeline_write)

    def child(self, spec: FitSpec, life: Life, *, log_path: Path) -> Child:
        """Return the child at the other ends."""
        return Child(
            spec, life, report_fd=self.report_read, lifeline_fd=self.lifeline_write, log_path=log_path
        )


def write_spec(spec: FitSpec, *, log_path: Path, spec_path: Path) -> None:
    """Write the spec for the child to read, and make room for its log; raises OSError."""
    for path in (log_path, spec_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    spec_path.write_text(spec.to_json(), encoding="utf-8")


def child_environment(spec: FitSpec, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: threads, determinism and device fixed before any library loads."""
    threads = str(spec.threads)
    environment = {name: value for name, value in inherited.items() if name not in SECRETS}
    environment |= {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads cost a shared machine several times the work
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        VISIBLE_DEVICES: visible_devices(spec, inherited),
        PARENT_PID: str(os.getpid()),
    }
    # The kernel sends the death signal when the *thread* that forked ends, so it is used from the main
    # thread only; the lifeline pipe does the same from any thread.
    in_main_thread = threading.current_thread() is threading.main_thread()
    environment[DEATH_SIGNAL] = "1" if in_main_thread else "0"
    return environment


class Child:
    """A running (or ended) fit. Not thread safe: one thread asks at a time."""

    def __init__(
        self, spec: FitSpec, life: Life, *, report_fd: int, lifeline_fd: int, log_path: Path
    ) -> None:
        self.spec = spec
        self.log_path = log_path
        self._life = life
        self._report_fd: int | None = report_fd
        self._lifeline_fd: int | None = lifeline_fd
        self._hung_up = False
        self._unread = b""
        self._saved_step = 0
        self._asked_to_stop = self._ended_by_us = False
        self._last: Outcome | None = None
        self._memory_kills = memory_kills()

    @property
    def pid(self) -> int:
        """The process that does the fit; before it is forked, the one that will fork it."""
        return self._life.pid

    def fileno(self) -> int:
        """Return the descriptor that is readable once there is a report or an end; -1 when closed."""
        if self._report_fd is None:
            return -1
        return self._life.fileno() if self._hung_up else self._report_fd

    @property
    def returncode(self) -> int | None:
        """Return code of the ended child (negative: the signal), None while it lives.

        By then whatever the child left behind in its process group is ended too.
        """
        return self._life.code()

    def reports(self) -> list[Report]:
        """Return the reports that came since the last call, oldest first, without waiting.

        A line cut off by the child's death is no report and is left out.
        """
        *lines, self._unread = (self._unread + self._read_all()).split(b"\n")
        reports: list[Report] = []
        for line in lines:
            with contextlib.suppress(BadReport):
                reports.append(decode(line))
        for report in reports:
            self._remember(report)
        return reports

    def outcome(self) -> Outcome | None:
        """Return how the fit ended, None while the child lives.

        A child that ended without a last word gets one: Stopped if it was asked to and SIGTERM ended it, else
        Failed with the signal named and the end of its log as the place. A signal from outside is no fault
        of the fit: its cause is lost_worker.
        """
        code = self.returncode
        if code is None:
            return None
        self.reports()
        self.close()
        if self._last is None:
            self._last = self._outcome_of_silence(code)
        return self._last

    def stop(self) -> None:
        """Ask the child to save its state and stop; it ends with Stopped, or finishes if nearly done."""
        if self.returncode is None:
            self._asked_to_stop = True
            self._life.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child and its whole process group now; its checkpoints stay."""
        if self.returncode is None:
            self._ended_by_us = True
            self._life.kill()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the child has ended; return whether it has. What it reports meanwhile is kept."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # The pipe is emptied meanwhile, so that the child never waits for us.
            poll = select.poll()
            for descriptor in {self._life.fileno(), self.fileno()} - {-1}:
                poll.register(descriptor, select.POLLIN)
            poll.poll(None if left is None else left * 1000)
            self._unread += self._read_all()
            if left == 0.0:
                break
        return self.returncode is not None

    def close(self) -> None:
        """Close the pipes. A child that still lives dies of it, as it would with its parent."""
        for descriptor in (self._report_fd, self._lifeline_fd):
            if descriptor is not None:
                os.close(descriptor)
        self._report_fd = self._lifeline_fd = None

    def _read_all(self) -> bytes:
        pieces: list[bytes] = []
        while self._report_fd is not None:
            try:
                piece = os.read(self._report_fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not piece:
                self._hung_up = True
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _remember(self, report: Report) -> None:
        match report:
            case Started(resumed_from_step=step) if step is not None:
                self._saved_step = step
            case Checkpointed(step=step):
                self._saved_step = step
            case Succeeded() | Failed() | Stopped():
                self._last = report

    def _outcome_of_silence(self, code: int) -> Outcome:
        if code == -signal.SIGTERM and self._asked_to_stop:
            return Stopped(step=self._saved_step)
        if self._ended_by_us:
            cause, sentence = "internal", "the fit was ended by the process that started it"
        elif code == -signal.SIGKILL and self._memory_ran_out():
            cause = "out_of_memory"
            sentence = "the fit was killed by the system (SIGKILL): memory ran out"
        elif -code in _SENT_FROM_OUTSIDE:
            cause = "lost_worker"
            sentence = f"the fit was killed from outside ({_signal_name(-code)}) while memory was left"
        elif code == -signal.SIGABRT and _WANTS_MEMORY in self._log_tail():
            cause, sentence = "out_of_memory", "the fit's process gave up (SIGABRT): memory ran out"
        elif code < 0:
            cause, sentence = "library", f"the fit's process crashed with {_signal_name(-code)}"
        else:
            cause, sentence = "internal", f"the fit's process ended with exit code {code} and no last word"
        return Failed(cause=cause, sentence=sentence, where=self._log_tail(), retryable=True)

    def _memory_ran_out(self) -> bool:
        kills = memory_kills()
        return kills is None or self._memory_kills is None or kills > self._memory_kills

    def _log_tail(self) -> str:
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return f"log {self.log_path}"
        lines = [line for line in text.splitlines() if line.strip()]
        return f"log {self.log_path}: " + " | ".join(lines[-_LOG_TAIL_LINES:])


def memory_kills() -> int | None:
    """Return how many processes this kernel has ended for want of memory; None if unknown."""
    try:
        lines = _KERNEL_COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None


def visible_devices(spec: FitSpec, inherited: Mapping[str, str]) -> str:
    """Return the one GPU the child may see, counted among those its parent may see; none for the CPU."""
    if spec.device_requested == "cpu":
        return ""
    index, own = spec.device_requested.removeprefix("cuda:"), inherited.get(VISIBLE_DEVICES)
    if own is None:
        return index
    names = [name for name in own.split(",") if name]
    return names[int(index)] if index.isdigit() and int(index) < len(names) else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
