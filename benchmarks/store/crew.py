"""Worker processes that stay: each holds its connection, waits for the word, works until nothing is left."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from benchmarks.store.figures import Sample, server_cpu

Act = Callable[[], int]
Prepare = Callable[[str], Act]  # from an address to the act that works until nothing is left
_ANSWER_SECONDS_MAX = 300.0


class Crew:
    """So many processes with one way of working on one database; a context that ends them."""

    def __init__(self, prepare: Prepare, url: str, *, workers: int, server_pid: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._server_pid = server_pid
        self._pipes: list[Connection] = []
        for _ in range(workers):
            here, there = context.Pipe()
            context.Process(target=_work, args=(there, prepare, url), daemon=True).start()
            there.close()
            self._pipes.append(here)
        for pipe in self._pipes:
            _answer(pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()

    def drain(self) -> Sample:
        """Let all work at once until nothing is left; from the word to the last answer."""
        server_from, wall_from = server_cpu(self._server_pid), time.perf_counter()
        for pipe in self._pipes:
            pipe.send("go")
        answers = [_answer(pipe) for pipe in self._pipes]
        seconds = time.perf_counter() - wall_from
        used = sum(cpu for _, cpu in answers) + server_cpu(self._server_pid) - server_from
        return Sample(done=sum(done for done, _ in answers), seconds=seconds, cpu_seconds=used)


def _answer(pipe: Connection) -> tuple[int, float]:
    if not pipe.poll(_ANSWER_SECONDS_MAX):
        raise TimeoutError("a worker of the benchmark does not answer")
    done, cpu = pipe.recv()
    return int(done), float(cpu)


def _work(pipe: Connection, prepare: Prepare, url: str) -> None:
    """Be one worker until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us hears it and closes the pipe
    act = prepare(url)
    pipe.send((0, 0.0))
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        cpu_from = time.process_time()
        done = act()
        pipe.send((done, time.process_time() - cpu_from))
