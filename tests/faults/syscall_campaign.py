"""Every operation of the store, crashed at each of its writing system calls, and refused by the disk."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from campaigns import main
from reporting import Progress
from store_audit import Audit, audit
from store_mutants import store_of
from store_operations import OPERATIONS, Operation
from store_samples import Clock
from syscall_gate import Crossing, crossing

from store import PlanStore
from store.errors import DatabaseUnavailable, LeaseLost, StoreError, WrongState
from store.schema import upgrade

_ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}
_SIDES = ("", "-wal", "-shm")


@dataclass(slots=True)
class Scene:
    """One operation with what stands before it: a closed file to start from, any number of times."""

    operation: Operation
    template: Path
    path: Path
    mutant: str
    clock: Clock
    context: dict[str, Any]
    head_before: int = 0
    head_after: int = 0

    def open(self) -> PlanStore:
        """The store over the file."""
        store = store_of(self.path, self.mutant, clock=self.clock)
        store._policy = self.operation.policy
        return store

    def reset(self) -> None:
        """Put the file back to what it was before the operation."""
        for side in _SIDES:
            Path(f"{self.path}{side}").unlink(missing_ok=True)
        shutil.copyfile(self.template, self.path)

    def once(self, tell: Callable[[bytes], object]) -> None:
        """The operation, from opening the file to closing it."""
        with self.open() as store:
            tell(self.operation.done(store, self.context))

    def again_when_refused(self, tell: Callable[[bytes], object]) -> None:
        """The operation, and once more if the database did not answer: in the same process, and told."""
        store = self.open()
        try:
            tell(self.operation.done(store, self.context))
        except DatabaseUnavailable:
            tell(b"R\n")
            tell(self.operation.done(store, self.context))
        store.close()


def scenes(folder: Path, mutant: str) -> Iterator[Scene]:
    """Each operation with its file, and the heads of the log before it and after it."""
    for operation in OPERATIONS:
        clock = Clock()
        scene = Scene(operation, folder / "before.db", folder / "store.db", mutant, clock, {})
        shutil.copyfile(folder / "migrated.db", scene.path)
        for side in _SIDES[1:]:
            Path(f"{scene.path}{side}").unlink(missing_ok=True)
        with store_of(scene.path, clock=clock) as store:
            scene.context = operation.before(store, clock)
            scene.head_before = store.head_seq()
        shutil.copyfile(scene.path, scene.template)
        with scene.open() as store:
            operation.done(store, scene.context)
        scene.head_after = head(scene.path)
        yield scene


def head(path: Path) -> int:
    """The last seq of a log."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT COALESCE(MAX(seq), 0) FROM event").fetchone()[0])


def crashes(folder: Path, *, every: int = 1, mutant: str = "") -> dict[str, Any]:
    """Kill the operation at call 1, 2, 3 … until it ends unharmed, for each operation."""
    total, progress = Audit(), Progress("crash at a system call", len(OPERATIONS))
    points: dict[str, int] = {}
    for number, scene in enumerate(scenes(folder, mutant)):
        at = 1
        while True:
            scene.reset()
            crossed = crossing(scene.once, at=at)
            _judge(scene, crossed, f"{scene.operation.name}, killed at call {at}", total)
            if crossed.status == 0:
                break
            points[scene.operation.name] = points.get(scene.operation.name, 0) + 1
            at += every
        progress.at(number)
        if mutant and not total.clean:
            break
    return {"faults": sum(points.values()), "points": points, "seconds": progress.seconds, **total.counts()}


def refusals(folder: Path, *, every: int = 1) -> dict[str, Any]:
    """Let the disk answer EIO, then ENOSPC, at call 1, 2, 3 … of each operation; then say it once more."""
    total, faults, raised, progress = Audit(), 0, 0, Progress("disk error at a system call", len(OPERATIONS))
    for number, scene in enumerate(scenes(folder, "")):
        for name, error in _ERRORS.items():
            at = 1
            while True:
                scene.reset()
                crossed = crossing(scene.again_when_refused, at=at, error=error, locks=False)
                if len(crossed.calls) < at:
                    break
                faults, raised = faults + 1, raised + ("R\n" in crossed.told)
                where = f"{scene.operation.name}, {name} at call {at} ({crossed.calls[at - 1]})"
                if crossed.status:
                    total.problems.append(f"{where}: {crossed.told.splitlines()[-1:]}")
                _judge(scene, crossed, where, total)
                at += every
        progress.at(number)
    return {"faults": faults, "raised": raised, "seconds": progress.seconds, **total.counts()}


def creations(folder: Path, *, every: int = 1) -> dict[str, Any]:
    """Kill the making of the tables at each call; the same command again must make them whole."""
    url, path = f"sqlite:///{folder}/store.db", folder / "store.db"
    import_module("alembic.command")
    import_module("sqlmodel")
    found, faults, progress = Audit(), 0, Progress("crash while the tables are made", 1)
    wanted, at = schema_of(folder / "migrated.db"), 1
    while True:
        for side in _SIDES:
            Path(f"{path}{side}").unlink(missing_ok=True)
        crossed = crossing(lambda tell: _told(tell, upgrade(url)), at=at)
        if crossed.status == 0:
            break
        faults += 1
        again = crossing(lambda tell: _told(tell, upgrade(url)), locks=False)
        if again.status:
            found.problems.append(f"killed at call {at}, then: {again.told.strip()}")
        elif schema_of(path) != wanted:
            found.problems.append(f"killed at call {at}: the tables are not the same")
        elif problems := audit(path, ()).problems:
            found.problems.append(f"killed at call {at}: {problems[0]}")
        at += every
    return {"faults": faults, "seconds": progress.seconds, **found.counts()}


def schema_of(path: Path) -> list[tuple[str, str]]:
    """Every table, index and trigger of a file, with its text."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def _told(tell: Callable[[bytes], object], done: bool) -> None:
    tell(f"upgraded {done}\n".encode())


def _judge(scene: Scene, crossed: Crossing, where: str, total: Audit) -> None:
    """Audit what is on the disk; then say the operation again, which must be answered."""
    told = [line for line in crossed.told.splitlines() if line[0] in "ECK"]
    found = audit(scene.path, told)
    if found.events not in (scene.head_before, scene.head_after):
        found.problems.append(f"the log has {found.events} events: half an operation")
    if crossed.status == 0 and found.events != scene.head_after:
        found.problems.append("it was answered, and is not in the log")
    try:
        with scene.open() as store:
            scene.operation.done(store, scene.context)
        if scene.operation.repeats and (events := head(scene.path)) != scene.head_after:
            found.problems.append(f"said again, the log has {events} events, not {scene.head_after}")
    except WrongState:
        if scene.operation.repeats or found.events != scene.head_after:
            found.problems.append("said again, it was refused")
    except StoreError as error:
        # A word under a fence that has ended by its own first time is refused unless it carries an id.
        if not (isinstance(error, LeaseLost) and not scene.operation.repeats):
            found.problems.append(f"said again: {type(error).__name__}: {error}")
    total.add(found, where)


_KINDS = {"crashes": crashes, "refusals": refusals, "creations": creations}

if __name__ == "__main__":
    main(lambda folder, *, kind, **options: _KINDS[kind](folder, **options))
