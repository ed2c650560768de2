"""A training host under load for a long time: plans that keep coming, and what its daemon uses meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from daemon_samples import document, drop, job, write_data

from daemon.settings import Settings
from store import StoreError, open_store

# Mixed: two boosters, a filter on rows, regimes of scikit-learn, a network; a second or less each.
FAMILIES = ("LightGBM", "XGBoost", "FTRLProximal", "GMMRegime", "MLP")
PARAMS = {
    "LightGBM": {"rounds": 120, "patience": 120, "chunk_rounds": 20},
    "XGBoost": {"rounds": 60, "patience": 60, "chunk_rounds": 10},
    "MLP": {"epochs": 6, "patience": 6, "batch_rows": 256, "hidden": 16},
}
SETTINGS = {
    "web_listen": "off",
    "params": PARAMS,
    "cpu_slots": 2,
    "lease_seconds": 6.0,
    "rescan_seconds": 0.5,
    "settle_seconds": 1.0,
    "progress_seconds": 0.2,
    "checkpoint_rounds": 20,
    "checkpoint_seconds": 2.0,
    "stop_seconds": 15.0,
    "disk_wait_seconds": 1.0,
    "backoff_seconds": 0.5,
    "disk_floor_bytes": 1_000_000,
    "expiries_max": 1000,
    "attempts_max": 100,
    "failures_pause": 0,
}
HOST = """
import json, os, sys
from daemon.logs import configure_logs
from daemon.service import serve
from daemon.settings import Settings
configure_logs()
if sys.argv[2] == "keeps a descriptor of every fit":
    from daemon import listening
    let_go = listening._let_go
    def leaking(runner, over):
        if runner.is_over:
            os.open("/dev/null", os.O_RDONLY)
        let_go(runner, over)
    listening._let_go = leaking
raise SystemExit(serve(Settings.from_sources({}, {}, json.loads(sys.argv[1]))))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a daemon used at one moment; `life` counts its starts, `age` is in seconds since it was ready."""

    life: int
    age: float
    memory_bytes: int
    descriptors: int
    threads: int


class Site:
    """An installation whose daemon is started again whenever it ends, as its service manager would do."""

    def __init__(self, folder: Path, *, seed: int, mutant: str = "") -> None:
        self.folder, self._mutant = folder, mutant
        self.random = random.Random(seed)  # noqa: S311 (which fault comes next)
        self.settings = Settings.from_sources({}, {}, self._given())
        write_data(folder / "data", rows=500)
        self.settings.inbox_dir.mkdir(parents=True)
        self.results = self.settings.results_dir
        self.dropped: list[str] = []
        self.refusable: list[str] = []
        self.samples: list[Sample] = []
        self.problems: list[str] = []
        self.lives = 0
        self._ready_at: float | None = None
        self.host = self._start()

    def _given(self) -> dict[str, Any]:
        return {
            **SETTINGS,
            "results_dir": str(self.folder / "results"),
            "output_dir": str(self.folder / "output"),
            "inbox_dir": str(self.folder / "inbox"),
            "data_dir": str(self.folder / "data"),
        }

    def _start(self) -> subprocess.Popen[bytes]:
        self.lives, self._ready_at = self.lives + 1, None
        words = [sys.executable, "-P", "-c", HOST, json.dumps(self._given()), self._mutant]
        with (self.folder / "host.log").open("ab") as output:
            return subprocess.Popen(words, stdout=output, stderr=output)

    def tend(self, *, expected: bool = False) -> None:
        """Start the daemon again if it has ended; an end that nobody asked for is a problem."""
        code = self.host.poll()
        if code is None:
            return
        if not expected:
            self.problems.append(f"the daemon ended by itself with code {code}")
        self.host = self._start()

    def is_ready(self) -> bool:
        """Whether the daemon of now has recorded its start."""
        with contextlib.suppress(StoreError), open_store(self.settings.database_url) as store:
            return any(host.pid == self.host.pid for host in store.reading.hosts())
        return False

    def sample(self) -> None:
        """Take down what the daemon uses now; nothing while it starts or is gone."""
        if self._ready_at is None:
            if not self.is_ready():
                return
            self._ready_at = time.monotonic()
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.host.pid)
            taken = Sample(
                life=self.lives,
                age=time.monotonic() - self._ready_at,
                memory_bytes=process.memory_full_info().uss,
                descriptors=process.num_fds(),
                threads=process.num_threads(),
            )
            self.samples.append(taken)

    def drop_plan(self) -> None:
        """Drop a plan nobody has dropped before: one job over all symbols, or one of a symbol."""
        number = len(self.dropped)
        families = self.random.sample(FAMILIES, 3)
        symbol = self.random.choice([None, "AAA", "BBB"])
        self._put(f"plan-{number}", document(job(families, symbol=symbol), seed=number))
        self.dropped.append(f"plan-{number}")

    def drop_broken(self) -> None:
        """Drop something that can never be a plan."""
        name = f"broken-{len(self.refusable)}"
        text = self.random.choice(['{"jobs": [', "null", '{"metadata": {}, "jobs": [{"target": "no"}]}'])
        self._put(name, text)
        self.refusable.append(name)

    def _put(self, name: str, content: dict[str, Any] | str) -> None:
        """Drop it, however long the inbox is not there."""
        deadline = time.monotonic() + 30
        while True:
            try:
                drop(self.settings.inbox_dir, name, content)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                shutil.rmtree(self.settings.inbox_dir / f".{name}", ignore_errors=True)
                time.sleep(0.05)
            else:
                return

    def fits(self) -> list[psutil.Process]:
        """The processes of fits that run now: children of the warm servers that are not guards."""
        return [child for server in self.servers() for child in _children(server) if _leads(child)]

    def servers(self) -> list[psutil.Process]:
        """The warm servers of the daemon."""
        with contextlib.suppress(psutil.Error):
            return [one for one in psutil.Process(self.host.pid).children() if _is_server(one)]
        return []

    def end(self) -> None:
        """End the daemon for good."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.host.pid, signal.SIGCONT)
        self.host.kill()
        self.host.wait()


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    return []


def _is_server(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "executors.warm_server" in process.cmdline()
    return False


def _leads(process: psutil.Process) -> bool:
    with contextlib.suppress(OSError):
        return os.getpgid(process.pid) == process.pid
    return False
