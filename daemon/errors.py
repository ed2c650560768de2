"""Every error this package raises on purpose, under one base: what, where, what to do, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class DaemonError(Exception):
    """The base of all errors of this package; `str()` is what, where and what to do in one line."""

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        place = f" ({where})" if where else ""
        remedy = f"; {fix}" if fix else ""
        super().__init__(f"{what}{place}{remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One wrong setting: where it was read, what is wrong with it, and what to write instead."""

    place: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.fix}"


class SettingsInvalid(DaemonError):
    """Settings that cannot be worked with; `faults` holds all of them, not only the first."""

    exit_code: ClassVar[int] = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        first, *others = self.faults
        more = "".join(f"\n  also  {fault}" for fault in others)
        super().__init__(first.problem, where=first.place, fix=first.fix + more)


class AlreadyServing(DaemonError):
    """Another daemon works on the same results directory."""

    exit_code: ClassVar[int] = 75

    def __init__(self, results_dir: Path, holder: str) -> None:
        self.results_dir, self.holder = results_dir, holder
        super().__init__(
            f"another daemon already works here: {holder}",
            where=str(results_dir),
            fix="stop that one first, or give this one a results directory of its own",
        )


class InboxUnsafe(DaemonError):
    """A drop folder in which anybody on the machine could put work for the daemon."""

    exit_code: ClassVar[int] = 2

    def __init__(self, inbox_dir: Path, problem: str, fix: str) -> None:
        super().__init__(f"the drop folder is not safe: {problem}", where=str(inbox_dir), fix=fix)


class ChildStopped(DaemonError):
    """A fit's process was stopped from outside for longer than its lease."""

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(
            f"the process {pid} of {name} was stopped until its lease ran out",
            where=name,
            fix="nothing: it is ended, and the fit goes on from its last checkpoint",
        )


class Refused(DaemonError):
    """Something in a dropped directory that is never touched: a link, a pipe, a file too big."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(what, where=where, fix=fix)
