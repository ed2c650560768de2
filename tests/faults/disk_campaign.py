"""A disk that is full, again and again, under workers that go on when there is space."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from campaigns import main
from crew import Crew
from power_campaign import call, new_file, private_mounts
from reporting import Progress
from store_audit import Audit, audit
from store_work import Worker, drained_to_the_end

from store import PlanStore
from store.errors import DatabaseUnavailable

SIZE_KIBIBYTES = 600
GROWTH_KIBIBYTES = 400
WORKERS = 3
ROUNDS_PER_FILE = 5
_TURN = mmap.mmap(-1, 8)  # how often there was new space, for all processes forked from this one


def _round() -> int:
    return int.from_bytes(_TURN[:8], "little")


class PatientStore:
    """A store whose every call that gets no answer is told, waits for space and is made again."""

    def __init__(self, store: PlanStore, tell: Callable[[bytes], object]) -> None:
        self._store, self._tell = store, tell

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of the store, made patient."""
        method = getattr(self._store, name)

        def patient(*args: Any, **kwargs: Any) -> Any:
            while True:
                seen = _round()
                try:
                    return method(*args, **kwargs)
                except DatabaseUnavailable as error:
                    self._tell(f"R {error.cause}\n".encode())
                while _round() == seen:
                    time.sleep(0.001)

        return patient


class PatientWorker(Worker):
    """A worker over a patient store."""

    def __init__(self, store: PlanStore, name: str, tell: Callable[[bytes], object], seed: int) -> None:
        super().__init__(cast("PlanStore", PatientStore(store, tell)), name, tell, seed)


class FullCrew(Crew):
    """Counts the refusals of a round, and their causes."""

    refusals: list[str]

    def take(self, line: str) -> None:
        """Take in one line."""
        if line[0] == "R":
            self.refusals.append(line[2:])
        else:
            super().take(line)


def full_disks(folder: Path, *, faults: int, seed: int = 1, mutant: str = "") -> dict[str, Any]:
    """Fill the disk up, look, give it more space: `faults` times."""
    private_mounts()
    total, progress, place = Audit(), Progress("full disk", faults), folder / "small"
    place.mkdir(exist_ok=True)
    causes: set[str] = set()
    done = 0
    while done < faults:
        call("mount", "-t", "tmpfs", "-o", f"size={SIZE_KIBIBYTES}k", "small", str(place))
        try:
            path = place / "store.db"
            new_file(folder, path)
            done += _rounds(path, min(ROUNDS_PER_FILE, faults - done), seed + done, mutant, total, causes)
        finally:
            call("umount", str(place))
        progress.at(done)
        if mutant and not total.clean:
            break
    return {"faults": done, "seconds": progress.seconds, "causes": sorted(causes), **total.counts()}


def _rounds(path: Path, rounds: int, seed: int, mutant: str, total: Audit, causes: set[str]) -> int:
    """Let one file grow into the limit so many times."""
    crew = FullCrew(path, size=WORKERS, seed=seed, mutant=mutant, kind=PatientWorker)
    crew.refusals = []
    size, known = SIZE_KIBIBYTES, 0
    try:
        for number in range(1, rounds + 1):
            _await(crew, lambda: len(crew.refusals) >= WORKERS)
            found = audit(path, crew.told, verify=False)
            found.problems += crew.problems
            found.acknowledged, known = len(crew.told) - known, len(crew.told)
            total.add(found, f"disk full for the time {number}")
            causes.update(crew.refusals)
            crew.refusals.clear()
            size += GROWTH_KIBIBYTES
            call("mount", "-o", f"remount,size={size}k", str(path.parent))
            _TURN[:8] = (_round() + 1).to_bytes(8, "little")
        crew.kill_all()
    finally:
        crew.close()
    call("mount", "-o", f"remount,size={size + 40 * SIZE_KIBIBYTES}k", str(path.parent))
    after = Audit()
    drained_to_the_end(path, after.problems)
    total.add(after, "with space again")
    return rounds


def _await(crew: Crew, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Hear the workers until a condition holds; what does not hold in time is a problem."""
    deadline = time.monotonic() + seconds
    while not condition() and not crew.problems:
        crew.hear(0.1)
        if time.monotonic() > deadline:
            crew.problems.append(f"not all workers were refused within {seconds:.0f} seconds")


if __name__ == "__main__":
    main(full_disks)
