"""Four workers at a time, their promises, and the hand that kills them."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from store_mutants import store_of
from store_work import Said, Worker, claim_of, die_with_parent

from store import LeaseLost, PlanStore

PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Member:
    """A running process and the words that its workers announced and nobody answered, by their names."""

    pid: int
    said: dict[str, Said] = field(default_factory=dict)


class Crew:
    """Workers forked from this process over one file; `told` is everything they were promised.

    This process itself keeps no connection while it forks: SQLite's locks do not survive a fork.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int = 4,
        threads: int = 1,
        mutant: str = "",
        seed: int = 1,
        opener: Callable[[], PlanStore] | None = None,
        kind: type[Worker] = Worker,
    ) -> None:
        self._opener = opener or (lambda: store_of(path, mutant))
        self._kind = kind
        self._threads = threads
        self.told: list[str] = []
        self.problems: list[str] = []
        self.repeated = self.refused = self.born = 0
        self._chance = random.Random(seed)  # noqa: S311 - the same campaign for the same seed
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._rest = b""
        self.members = [self._fork({}) for _ in range(size)]

    def _fork(self, said: dict[str, Said]) -> Member:
        self.born += 1
        number, seed = self.born, self._chance.randrange(2**40)
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            store = self._opener()
            for place in range(1, self._threads):
                Thread(
                    target=self._live, args=(store, f"w-{number}.{place}-{os.getpid()}", {}, seed + place)
                ).start()
            self._live(store, f"w-{number}-{os.getpid()}", said, seed)
        return Member(pid=pid)

    def _live(self, store: PlanStore, name: str, said: dict[str, Said], seed: int) -> None:
        """The life of a worker; it ends by itself only by an error, which it tells."""
        try:
            worker = self._kind(store, name, self._tell, seed)
            for word in said.values():
                with suppress(LeaseLost):
                    worker.succeed(word, claim_of(word))
            worker.work()
        except BaseException as error:  # noqa: BLE001 - a forked child must not run its parent's code
            self._tell(f"X {name} {type(error).__name__}: {error}\n".encode()[:2000])
        finally:
            os._exit(1)

    def _tell(self, line: bytes) -> None:
        os.write(self._writing, line)

    def hear(self, seconds: float = 0.0) -> int:
        """Take in what was told, waiting at most so long for the first line; returns the lines."""
        count, ready = 0, select.select([self._reading], [], [], seconds)[0]
        while ready:
            try:
                block = os.read(self._reading, 1 << 16)
            except BlockingIOError:
                break
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self.take(line.decode())
            count += len(lines)
        return count

    def take(self, line: str) -> None:
        """Take in one line."""
        if line[0] == "I":
            said = Said.of(line)
            # A successor repeats a word under the name of its predecessor, which no member has any more.
            for member in self.members:
                if said.worker.endswith(f"-{member.pid}"):
                    member.said[said.worker] = said
        elif line[0] == "L":
            self.refused += 1
        elif line[0] == "X":
            self.problems.append(f"a worker ended by itself: {line[2:]}")
        else:
            self.told.append(line)
            words = line.split()
            for member in self.members if words[2] == "FitSucceeded" else ():
                member.said = {name: said for name, said in member.said.items() if said.fit != words[3]}

    def await_lines(self, wanted: int) -> None:
        """Wait until so many more lines were told, or a worker ended by itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wanted > 0 and not self.problems:
            wanted -= self.hear(0.5)
            if time.monotonic() > deadline:
                self.problems.append(f"nothing was told for {PATIENCE_SECONDS:.0f} seconds")

    def kill_one(self) -> None:
        """Kill a worker, any of them, and let a new one take its place and repeat its last word."""
        victim = self.members.pop(self._chance.randrange(len(self.members)))
        self.members.append(victim)
        self._end(victim)
        self.hear()
        self.members.remove(victim)
        self.repeated += len(victim.said)
        self.members.append(self._fork(victim.said))

    def kill_all(self) -> None:
        """Kill every worker and hear what was told to the last."""
        for member in self.members:
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        for member in self.members:
            self._end(member)
        self.hear()
        self.members = []

    def close(self) -> None:
        """End what is left."""
        if self.members:
            self.kill_all()
        os.close(self._reading)
        os.close(self._writing)

    def _end(self, member: Member) -> None:
        os.kill(member.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(member.pid, 0)[1])
        if code != -signal.SIGKILL and not self.problems:
            self.problems.append(f"process {member.pid} ended by itself with {code}")
