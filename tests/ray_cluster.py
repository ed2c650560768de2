"""A real Ray cluster of our own for tests: a head with token and dashboard, killed and started anew."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from postgres_servers import free_port

from daemon.engine.connection import Connection
from daemon.engine.errors import RaySilent

START_SECONDS = 180.0  # some 25 s on a quiet machine
MARK = "TRAINWRIGHT_TESTS_RAY"  # in the environment of every process of a cluster


class RayCluster:
    """One head on this machine, on ports of its own; nobody comes in without the token in `token_file`."""

    def __init__(
        self, *, cpus: int = 2, gpus: int = 0, resources: str = "{}", environ: Mapping[str, str] | None = None
    ) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="tw-ray-", dir="/tmp"))  # short: sockets lie in it
        self.token_file = self.place / "token"
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(secrets.token_hex(32), encoding="ascii")
        self._cpus, self._gpus, self._resources = cpus, gpus, resources
        self._dashboard_port, self.gcs_port = free_port(), free_port()
        self._mark = secrets.token_hex(8)
        self._environ = dict(environ or {})
        self._head: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where jobs are taken: the dashboard's address."""
        return f"http://127.0.0.1:{self._dashboard_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be let in; everything else of ours goes along."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "HOME": str(self.place),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ADDRESS": f"127.0.0.1:{self.gcs_port}",
            MARK: self._mark,
            **self._environ,
        }

    def start(self) -> None:
        """Start the head and wait until it takes jobs."""
        words = {
            "--node-ip-address": "127.0.0.1",
            "--port": self.gcs_port,
            "--dashboard-port": self._dashboard_port,
            "--dashboard-host": "127.0.0.1",
            "--dashboard-agent-listen-port": free_port(),
            "--ray-client-server-port": free_port(),
            "--min-worker-port": 0,
            "--max-worker-port": 0,
            "--num-cpus": self._cpus,
            "--num-gpus": self._gpus,
            "--resources": self._resources,
            "--object-store-memory": 80_000_000,
            "--temp-dir": self.place / "t",
            "--include-dashboard": "true",
            "--include-log-monitor": "false",
        }
        with (self.place / "log").open("ab") as told:
            self._head = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                    *(str(word) for pair in words.items() for word in pair),
                ],
                env={name: value for name, value in self.environment.items() if name != "RAY_ADDRESS"},
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._head.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.place / "log").read_text(encoding="utf-8", errors="replace")[-2000:])
            time.sleep(0.2)  # between two questions to a process that is being started

    def answers(self) -> bool:
        """Whether it takes jobs now."""
        try:
            return (
                Connection(self.address, token_file=self.token_file).call("GET", "/api/jobs/").status == 200
            )
        except RaySilent:
            return False

    def processes(self) -> list[psutil.Process]:
        """Every process of the cluster, and all that they started."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def kill(self) -> None:
        """Kill the head and all of it at once (kill -9): jobs and their state are gone."""
        while processes := self.processes():
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=30)
        if self._head is not None:
            self._head.wait(30)

    def remove(self) -> None:
        """End and delete everything."""
        self.kill()
        shutil.rmtree(self.place, ignore_errors=True)


@contextmanager
def ray_cluster(
    *, cpus: int = 2, gpus: int = 0, resources: str = "{}", environ: Mapping[str, str] | None = None
) -> Iterator[RayCluster]:
    """Yield a running cluster; it is removed afterwards, whatever happens."""
    cluster = RayCluster(cpus=cpus, gpus=gpus, resources=resources, environ=environ)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
