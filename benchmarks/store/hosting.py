"""A training host in a process of its own: the daemon's service over a given store, with children that rest.

``python -m benchmarks.store.hosting ADDRESS FOLDER refuse|rest``. Everything is the daemon's own (service,
host, dispatcher, runner, rescuer, timetable) except what a fit does: under ``refuse`` a claimed fit is
refused at once, so that the host is idle again; under ``rest`` its child sleeps until it is killed. One line
of JSON says that the host works, and one for each child its pid.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from daemon.dispatcher import Dispatcher, Start
from daemon.identity import own_identity
from daemon.notify import Notifier
from daemon.runner import FitProcess
from daemon.service import Service
from daemon.settings import Settings
from daemon.workplace import FitPlaces
from executors.contract import FitSpec
from executors.errors import BadSpec
from executors.process import Child
from store import open_store

ANSWER_SECONDS_MAX = 60.0
SLOTS = 8
PR_SET_PDEATHSIG = 1  # prctl(2)


class HostProcess:
    """The other end: a host that was started, and is killed at the latest with its context."""

    def __init__(self, url: str, folder: Path, mode: str, *, machine: str | None = None) -> None:
        command = [sys.executable, "-m", "benchmarks.store.hosting", url, str(folder), mode]
        if machine is not None:  # a name of its own for what is the same kernel: needs the right to say so
            command = ["unshare", "--uts", "sh", "-c", f'hostname {machine} && exec "$@"', "-", *command]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._unread = b""
        self._works = False
        self.children: dict[str, int] = {}  # pid of the last child of each fit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def await_work(self) -> Self:
        """Wait until the host works; raises TimeoutError, EOFError when it ended."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while not self._works:
            if not self._heard(deadline - time.monotonic()):
                raise TimeoutError("a host of the benchmark does not answer")
        return self

    def hear(self) -> None:
        """Take note of the children it has started meanwhile; raises EOFError when it ended."""
        while self._heard(0.0):
            pass

    def kill(self) -> None:
        """End it now, without a last word."""
        self._process.kill()
        self._process.wait()

    def cpu_seconds(self) -> float:
        """Return what it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def wakes(self) -> int:
        """Return how often it went to sleep so far, all its threads together."""
        texts = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/status")]
        name = "voluntary_ctxt_switches:"
        return sum(
            int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith(name)
        )

    def _heard(self, seconds: float) -> bool:
        """Wait for words for so many seconds at most and take note of them; whether there were any."""
        pipe = self._process.stdout
        if pipe is None or not select.select([pipe], [], [], max(0.0, seconds))[0]:
            return False
        piece = os.read(pipe.fileno(), 65536)
        if not piece:
            raise EOFError("a host of the benchmark ended by itself")
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self._works = self._works or "works" in said
            if "child" in said:
                self.children[said["fit"]] = said["child"]
        return True


def resting_child(spec: FitSpec, places: FitPlaces) -> FitProcess:
    """Start a child that sleeps and dies with this process; says its pid."""
    places.log.parent.mkdir(parents=True, exist_ok=True)
    report_read, report_write = os.pipe()
    lifeline_read, lifeline_write = os.pipe()
    dying = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    process = subprocess.Popen(
        [*dying, "sleep", "600"], pass_fds=(report_write, lifeline_read), start_new_session=True
    )
    os.close(report_write)
    os.close(lifeline_read)
    os.set_blocking(report_read, False)
    _say(child=process.pid, fit=spec.fit)
    return Child(spec, process, report_fd=report_read, lifeline_fd=lifeline_write, log_path=places.log)


def refusing(_spec: FitSpec, _places: FitPlaces) -> FitProcess:
    """Raise BadSpec: the fit ends at once and for good."""
    raise BadSpec("family", "nothing is trained here")


def _say(**words: object) -> None:
    os.write(_ANSWERS, json.dumps(words).encode() + b"\n")


def main() -> None:
    """Be a host until killed."""
    os.dup2(2, 1)  # what is logged is no answer
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    url, folder, mode = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    begin: Start = resting_child if mode == "rest" else refusing
    settings = Settings.from_sources(
        overrides={
            "results_dir": folder,
            "output_dir": folder / "output",
            "inbox_dir": folder / "inbox",
            "database_url": url,
            "cpu_slots": SLOTS,
        }
    )
    with open_store(url) as store:
        service = Service(settings, store, Notifier.from_environment(os.environ), own_identity())
        service.host.dispatcher = Dispatcher(
            settings, store, worker=service.host.identity.worker, begin=begin
        )
        with service.host.minding_signals():
            service.start()
            _say(works=os.getpid())
            service.work()
            service.stop()
        service.close()


_ANSWERS = os.dup(1) if __name__ == "__main__" else -1

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
