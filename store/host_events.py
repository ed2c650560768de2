"""What daemons say about themselves: events of the stream of their host, and what is known beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    """A daemon began work on a host with so much room; `previous_stop` is how the one before it ended.

    Attributes:
        previous_stop_at: when that was; the last sign of life of one that did not say goodbye.
        booted_at: when the machine was started.
        unit: the unit of the service manager it runs in, if any.
        labels: what the host offers beside its room; fits may need some of them.
        machine: which machine it is, by a hash of its own number; empty where it has none.
        engine: where its fits run: its own processes, or an engine beside it.
    """

    kind: ClassVar[str] = "DaemonStarted"
    schema_version: ClassVar[int] = 1
    worker: str
    host: str
    version: str
    boot_id: str
    pid: int = 0
    previous_stop: str = ""
    cpu_slots: int | None = None
    gpu_slots: int | None = None
    memory_bytes: int | None = None
    priority_step_seconds: float | None = None
    share_step_seconds: float | None = None
    previous_stop_at: datetime | None = None
    booted_at: datetime | None = None
    unit: str | None = None
    labels: tuple[str, ...] = ()
    machine: str = ""
    engine: str = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopped:
    """A daemon ended on purpose, so many seconds after it was told to.

    `ended` fits did not save their state in time; they go on from their last checkpoint.
    """

    kind: ClassVar[str] = "DaemonStopped"
    schema_version: ClassVar[int] = 1
    worker: str
    host: str
    cause: str
    seconds: float | None = None
    ended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReloaded:
    """A daemon read its configuration again; with a `problem` it works on with the one it had.

    Attributes:
        changed: settings that hold from now on.
        restart_needed: settings that differ and hold from the next start on.
        problem: why the configuration was not taken; empty when it was.
        labels: those of the host from now on; None where they are as they were.
    """

    kind: ClassVar[str] = "DaemonReloaded"
    schema_version: ClassVar[int] = 1
    worker: str
    host: str
    changed: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    problem: str = ""
    cpu_slots: int | None = None
    gpu_slots: int | None = None
    memory_bytes: int | None = None
    priority_step_seconds: float | None = None
    share_step_seconds: float | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDraining:
    """A host claims nothing more until it is returned; with `give_back` it gives back what it runs, too."""

    kind: ClassVar[str] = "HostDraining"
    schema_version: ClassVar[int] = 1
    host: str
    reason: str = ""
    give_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReturned:
    """A host that was draining claims again."""

    kind: ClassVar[str] = "HostReturned"
    schema_version: ClassVar[int] = 1
    host: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRemoved:
    """A host will not come back: it claims nothing, and what it held was taken back; a start undoes that."""

    kind: ClassVar[str] = "HostRemoved"
    schema_version: ClassVar[int] = 1
    host: str
    reason: str = ""


HostEvent = DaemonStarted | DaemonStopped | DaemonReloaded | HostDraining | HostReturned | HostRemoved


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSigns:
    """What is known outside the log of a daemon that may not have said goodbye: seen when, said what."""

    seen_at: datetime | None = None
    words: str = ""


UNSEEN = LastSigns()
