"""A served page to be measured: its process, its address, who listens to it, and how late they hear."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

PATIENCE_SECONDS = 120.0
ROOT = Path(__file__).parents[2]


@contextmanager
def served(results: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the process and the address of a `trainwright serve` on a results folder."""
    words = [sys.executable, "-P", "-c", "from daemon.cli.main import main; main()", "serve", "--port", "0"]
    with subprocess.Popen(
        [*words, "--results-dir", str(results)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("it has no output")
            yield psutil.Process(process.pid), process.stdout.readline().decode().split()[1]
        finally:
            process.terminate()


@contextmanager
def listening(address: str, count: int, query: str = "") -> Iterator[None]:
    """Hold so many streams open, in a process of their own."""
    place = urlsplit(address)
    words = [sys.executable, "-m", "benchmarks.web.listeners", str(place.hostname), str(place.port)]
    with subprocess.Popen([*words, str(count), query], cwd=ROOT, stdin=subprocess.PIPE) as process:
        try:
            await_streams(address, count)
            yield
        finally:
            process.kill()


def await_streams(address: str, count: int) -> None:
    """Wait until so many pages listen; raises RuntimeError when they do not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        text = fetched(address, "/metrics")[0].decode()
        found = next(line for line in text.splitlines() if line.startswith("trainwright_web_streams "))
        if float(found.split()[1]) >= count:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{count} pages do not listen")


def fetched(address: str, path: str, *, gzip: bool = False) -> tuple[bytes, float]:
    """Return what is answered, as it goes over the wire, and the seconds it took."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_SECONDS)
    begun = time.perf_counter()
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"} if gzip else {})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} is answered with {answer.status}")
    return body, time.perf_counter() - begun


class Follower:
    """One page that notes when each event reaches it."""

    def __init__(self, address: str, after: int) -> None:
        self._place = urlsplit(address)
        self.arrived: dict[int, float] = {}
        self.parts: dict[int, float] = {}  # seq -> when parts of the page came that know it
        self.bytes = 0
        self._connection = http.client.HTTPConnection(
            str(self._place.hostname), self._place.port, timeout=600
        )
        self._connection.request("GET", f"/stream?after={after}")
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def await_seq(self, seq: int) -> float:
        """Return when an event came; raises RuntimeError when it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while seq not in self.arrived:
            if time.monotonic() > deadline:
                raise RuntimeError(f"event {seq} does not come")
            time.sleep(0.002)
        return self.arrived[seq]

    def close(self) -> None:
        """Go."""
        with suppress(OSError):
            if self._connection.sock is not None:
                self._connection.sock.shutdown(2)
        self._thread.join(5)

    def _run(self) -> None:
        with suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self._answer.readline():
                self.bytes += len(line)
                if line.startswith(b"data: "):
                    now, told = time.time(), json.loads(line[6:])
                    self.arrived |= {event["seq"]: now for event in told["events"]}
                    if told["fragments"]:
                        self.parts[told["seq"]] = now
