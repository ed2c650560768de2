"""A daemon at work in a folder, for pages that speak of one."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_MAX = 60.0


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def host_at_work(folder: Path, *, port: str) -> Iterator[None]:
    """Let a daemon work in a folder, with its page, until it is left; raises TimeoutError."""
    config = folder / "trainwright.toml"
    lines = [f"[daemon]\nweb_listen = {json.dumps(f'127.0.0.1:{port}')}\ndata_dir = 'data'\n"]
    config.write_text("".join(lines), encoding="utf-8")
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "daemon"], cwd=folder, stderr=log, stdout=log)
    try:
        _await_page(daemon, port, folder / "daemon.log")
        yield
    finally:
        daemon.terminate()
        daemon.wait(SECONDS_MAX)


def _await_page(daemon: subprocess.Popen[bytes], port: str, log: Path) -> None:
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until and daemon.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise TimeoutError(log.read_text(encoding="utf-8"))
