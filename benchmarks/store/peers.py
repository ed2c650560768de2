"""The peers' environment and their workers. ``python -m benchmarks.store.peers`` makes the environment.

The peers need versions of drivers and of SQLAlchemy that are theirs to choose, so they live in a virtual
environment of their own, ``.venv-peers``, with what the extra ``peers`` of ``pyproject.toml`` pins.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.store.figures import Sample, server_cpu

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-peers"
STAMP = HOME / ".complete"
PYTHON = HOME / "bin" / "python"
NAMES = ("pgqueuer", "procrastinate", "dbos")


def installed() -> bool:
    """Return whether the peers' environment is there."""
    return STAMP.is_file()


def install() -> None:
    """Make the peers' environment."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["peers"]
    venv.create(HOME, with_pip=True, clear=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True
    )
    STAMP.touch()


class PeerCrew:
    """Worker processes of one peer on one database; a context that ends them."""

    def __init__(self, peer: str, url: str, *, workers: int, server_pid: int) -> None:
        self._server_pid = server_pid
        script = ROOT / "benchmarks" / "peers" / f"{peer}_side.py"
        self._workers = [
            subprocess.Popen(
                [PYTHON, script, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(workers)
        ]
        _tell(self._workers[0], "install")
        _answer(self._workers[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()

    def fill(self, jobs: int) -> None:
        """Put jobs into the peer's queue."""
        _tell(self._workers[0], f"fill {jobs}")
        _answer(self._workers[0])

    def drain(self) -> Sample:
        """Let all workers work until nothing is left; from the first beginning to the last job's call."""
        server_from = server_cpu(self._server_pid)
        for worker in self._workers:
            _tell(worker, "go")
        answers = [_answer(worker) for worker in self._workers]
        used = sum(answer["cpu"] for answer in answers) + server_cpu(self._server_pid) - server_from
        seconds = max(answer["last"] for answer in answers) - min(answer["begun"] for answer in answers)
        return Sample(done=int(sum(answer["done"] for answer in answers)), seconds=seconds, cpu_seconds=used)


def _tell(worker: subprocess.Popen[str], word: str) -> None:
    if worker.stdin is not None:
        print(word, file=worker.stdin, flush=True)


def _answer(worker: subprocess.Popen[str]) -> dict[str, float]:
    """Return a worker's answer; raises EOFError when it ended instead."""
    line = worker.stdout.readline() if worker.stdout is not None else ""
    if not line:
        raise EOFError("a peer's worker ended without an answer")
    answer: dict[str, float] = json.loads(line)
    return answer


if __name__ == "__main__":
    install()
    print(f"{', '.join(NAMES)} are in {HOME}", file=sys.stderr)
