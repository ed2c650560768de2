"""Machines that share nothing but a network: each has a name, a boot, processes and a disk of its own.

A machine is a set of namespaces (unshare(1)) below one process; when that is killed the kernel kills all
that ran there, as a power cut does. Every machine sees its disk at the same path, as hosts set up alike do,
and the disks of the others not at all; what is to be shared has to be named.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from daemon_samples import PATIENCE_SECONDS, await_that
from hosts_network import Network

from benchmarks.host.living import toml

TESTS = Path(__file__).resolve().parents[1]
STANDIN = Path(__file__).with_name("hosts_standin.py")
_CONFIG, _LOG = "host.toml", "host.log"
# Words of a shell that become the first process of a machine: its names, its disk, then nothing but waiting.
_BOOT = """
set -e
echo "$1" > /proc/sys/kernel/hostname
mount --bind "$2" /proc/sys/kernel/random/boot_id
[ ! -e /etc/machine-id ] || mount --bind "$3" /etc/machine-id
mount --bind "$4" "$5"
mount -t tmpfs none "$6"
echo up
while :; do sleep 1000 & wait; done
"""


class Machine:
    """One machine at a port of a network, switched on and off."""

    def __init__(
        self, name: str, network: Network, folder: Path, *, host_name: str = "", shared: Path | None = None
    ) -> None:
        """Prepare its disk below a folder that all machines have in common.

        Args:
            name: of its port.
            network: where it is.
            folder: holds ``disks``, which no machine sees, and ``machine``, where each sees its own.
            host_name: what it is called; its port's name by default.
            shared: a folder that it may see, beside its disk.
        """
        self.name, self.network, self.shared = name, network, shared
        self.host_name = host_name or name
        self.disk, self.here = folder / "disks" / name, folder / "machine"
        self.environment: dict[str, str] = {}  # what its commands are given beside
        self._folder = folder
        self._first: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        for path in (self.disk / "tmp", self.here):
            path.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.machine").write_text(f"{uuid.uuid4().hex}\n", encoding="ascii")

    def switch_on(self) -> None:
        """Boot it: with its old disk and machine id, and a boot id of its own."""
        boot = self._folder / f"{self.name}.boot"
        boot.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
        namespaces = ("--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        places = (boot, boot.with_suffix(".machine"), self.disk, self.here, self._folder / "disks")
        command = [
            *self.network.inside(self.name),
            *("setpriv", "--pdeathsig", "KILL", "--", "unshare", *namespaces),
            *("sh", "-c", _BOOT, "-", self.host_name, *map(str, places)),
        ]
        self._first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._first.stdout is not None
        assert self._first.stdout.readline() == b"up\n", f"{self.name} does not boot"

    def switch_off(self) -> None:
        """Kill everything on it at once (kill -9)."""
        if self._first is None:
            return
        (init,) = psutil.Process(self._first.pid).children()
        init.kill()  # and the kernel kills all others, before it is gone itself
        for process in (self._first, *self._processes):
            process.wait(PATIENCE_SECONDS)
        self._first, self._processes = None, []

    def pull_power(self, *, peer: str) -> None:
        """Let it vanish: nobody hears of its end, for its cable is cut first."""
        self.network.cut(self.name, "cable pulled", peer=peer)
        self.switch_off()

    def configure(self, url: str, **settings: object) -> None:
        """Write its configuration: one log for all, quick turns, nothing served, everything on its disk."""
        daemon = {
            "results_dir": str(self.here / "results"),
            "output_dir": str(self.here / "output"),
            "inbox_dir": str(self.here / "inbox"),
            "database_url": url,
            "web_listen": "off",
            "gpu_slots": 0,
            "poll_seconds": 0.05,
            "settle_seconds": 0.0,
            "rescan_seconds": 0.2,
            "disk_floor_bytes": 1_000_000,
            **settings,
        }
        tables: dict[str, Mapping[str, object]] = {"daemon": daemon}
        for name in ("training", "data"):
            if name in daemon:
                tables[name] = daemon.pop(name)  # type: ignore[assignment] (a table by the caller's word)
        (self.disk / _CONFIG).write_text(toml(tables), encoding="utf-8")

    def start_daemon(self, *options: str, **planted: object) -> subprocess.Popen[bytes]:
        """Start the daemon; with anything `planted` (see hosts_standin) one whose fits are stand-ins."""
        words: Sequence[str | Path] = ("-m", "daemon", "--config", self.here / _CONFIG, *options)
        if planted:
            words = (STANDIN, self.here / _CONFIG, *(f"{name}={value}" for name, value in planted.items()))
        with (self.disk / _LOG).open("ab") as log:
            process = subprocess.Popen(self._inside(sys.executable, "-P", *words), stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def run(self, *words: str | Path, exits: int = 0) -> str:
        """Run a command of the command line with the host's configuration; returns its output."""
        config = ("--config", self.here / _CONFIG)
        command = self._inside(sys.executable, "-P", "-m", "daemon.cli.main", *words, *config)
        ended = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE_SECONDS)
        said = ended.stdout.decode() + ended.stderr.decode()
        assert ended.returncode == exits, said
        return said

    def stop_daemon(self, process: subprocess.Popen[bytes]) -> int:
        """Ask a daemon to stop and return its exit code."""
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_SECONDS)

    def log(self) -> str:
        """What its daemons have logged."""
        path = self.disk / _LOG
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def await_log(self, words: str) -> None:
        """Wait until the daemon's log holds some words; without them the end of it is shown."""
        try:
            await_that(lambda: words in self.log(), f"{words!r} in the log of {self.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log()[-3000:]}") from None

    def _inside(self, *words: str | Path) -> list[str]:
        """The words of a command that runs on the machine."""
        assert self._first is not None, f"{self.name} is switched off"
        (first,) = psutil.Process(self._first.pid).children()
        enter = ("nsenter", "--target", str(first.pid), "--mount", "--uts", "--pid", "--net", "--")
        given = {"TMPDIR": str(self.here / "tmp"), **self.environment}
        return [*enter, "env", *(f"{name}={value}" for name, value in given.items()), *map(str, words)]


def remove(machines: Sequence[Machine]) -> None:
    """Switch all of them off."""
    for machine in machines:
        with suppress(psutil.NoSuchProcess):
            machine.switch_off()
