"""Real processes that serve the page: `trainwright serve` on a log, or a whole daemon; started and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from daemon_samples import await_that
from relay import Relay

COMMAND = (sys.executable, "-P", "-c", "from daemon.cli.main import main; main()")


class LivingSite:
    """A results folder whose page is served, at an address that outlives its servers.

    Attributes:
        folder: the results folder; the event log in it must be there before `serve`.
        url: where the page is.
        relay: the line between browser and server, to be cut.
        port: where the server that was started last listens.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, object] | None = None, tables: str = ""
    ) -> None:
        self.folder = folder
        self.relay = Relay()
        self.url = self.relay.url
        self.log = folder.parent / f"{folder.name}.served.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder.parent / f"{folder.name}.toml"
        self._settle(settings or {}, tables)

    @property
    def database_url(self) -> str:
        """The event log of the folder."""
        return f"sqlite:///{self.folder / 'trainwright.db'}"

    @property
    def pid(self) -> int:
        """Of the process that was started, the daemon or the server."""
        assert self._process is not None
        return self._process.pid

    def serve(self) -> None:
        """Start `trainwright serve` and wait until it answers."""
        self._start("serve", "--port", "0")

    def start_daemon(self) -> None:
        """Start a daemon that serves the page as well, and wait until the page answers."""
        self._start("daemon")

    def kill(self) -> None:
        """Kill -9 what was started, with all that runs below it, as a power cut would."""
        process = self._process
        if process is None:
            return
        below = _below(process.pid)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for one in below:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(below, timeout=30)
        self._process = None

    def stop(self) -> int:
        """End what was started as systemd does, and return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=60)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self.relay.close()

    def said(self) -> str:
        """What the processes wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _settle(self, settings: Mapping[str, object], tables: str) -> None:
        """Write the configuration file, with further tables; the port is one that is free."""
        values = {
            "results_dir": str(self.folder),
            "output_dir": str(self.folder.parent / "output"),
            "inbox_dir": str(self.folder.parent / "inbox"),
            "web_listen": "127.0.0.1:0",
            "cpu_slots": 2,
            "settle_seconds": 0.0,
            "rescan_seconds": 0.2,
            "progress_seconds": 0.0,
            **settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        text = "[daemon]\n" + "\n".join(lines) + f"\n{tables}"
        self._config.write_text(text, encoding="utf-8")

    def _start(self, *words: str) -> None:
        assert self._process is None, "it runs already"
        environment = {name: text for name, text in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*COMMAND, *words, "--config", str(self._config)],
                stdout=output,
                stderr=output,
                cwd=self.folder.parent,
                env=environment,
            )
        self.port = await_that(self._answering_port, f"page of {' '.join(words)}")
        self.relay.lead_to(self.port)

    def _answering_port(self) -> int | None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"it ended with {self._process.returncode}: {self.said()}")
        for process in (psutil.Process(self._process.pid), *_below(self._process.pid)):
            for port in _ports(process):
                if _answers(port):
                    return port
        return None


def _below(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _ports(process: psutil.Process) -> list[int]:
    """Where a process listens on this machine."""
    try:
        found = process.net_connections(kind="tcp4")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    return [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 404
    except OSError:
        return False
