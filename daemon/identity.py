"""Who a daemon is: host, boot, process and the moment it started, in one word that outlives it.

The word tells whether the process behind it can still be alive. It errs on the side of "alive": a lease
then runs out by itself, and its fence keeps the log right in either case.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_MACHINE_ID_FORM = re.compile(r"[0-9a-f]{32}")  # machine-id(5); "uninitialized" and the like say nothing
_MACHINE_FORM = re.compile(r"(?:[0-9a-f]{16})?")
_PURPOSE = b"trainwright: the machine of a training host"
_SEPARATOR = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process on one boot of one host.

    Attributes:
        host: the machine's name.
        boot_id: the kernel's random name of this boot.
        namespace: number of the pid namespace; a pid means nothing outside it.
        pid: the process.
        started: the kernel's start time of the process in clock ticks since boot; tells a reused pid apart.
        machine: what tells this machine from others whatever it is called, over all its boots; empty where
            nothing does.
    """

    host: str
    boot_id: str
    namespace: int
    pid: int
    started: int
    machine: str = ""

    @property
    def worker(self) -> str:
        """The name under which this process claims fits."""
        numbers = (self.namespace, self.pid, self.started)
        return _SEPARATOR.join((self.host, self.boot_id, *map(str, numbers), self.machine))

    @classmethod
    def of_worker(cls, worker: str) -> Identity | None:
        """Return the identity a worker's name stands for, None for a name of another kind.

        Names of older versions have five parts: they do not tell the machine.
        """
        parts = worker.split(_SEPARATOR)
        if len(parts) == 5:
            parts.append("")
        if len(parts) != 6 or not all(part.isascii() and part.isdigit() for part in parts[2:5]):
            return None
        host, boot_id, namespace, pid, started, machine = parts
        if not _MACHINE_FORM.fullmatch(machine):
            return None
        return cls(
            host=host,
            boot_id=boot_id,
            namespace=int(namespace),
            pid=int(pid),
            started=int(started),
            machine=machine,
        )


def own_identity(host_name: str | None = None) -> Identity:
    """Return the identity of this process, on a host of this name; by default the machine's own."""
    return Identity(
        host=(host_name or socket.gethostname()).replace(_SEPARATOR, "_"),
        boot_id=_BOOT_ID.read_text(encoding="ascii").strip(),
        namespace=Path("/proc/self/ns/pid").stat().st_ino,
        pid=os.getpid(),
        started=start_ticks(os.getpid()) or 0,
        machine=machine_of(),
    )


@lru_cache
def machine_of(path: Path = _MACHINE_ID) -> str:
    """Return what this machine is known by over all its boots, empty where it has no machine-id(5).

    It is a keyed hash, as that page asks for: the id itself is not to be shown around.
    """
    with suppress(OSError, UnicodeDecodeError):
        said = path.read_text(encoding="ascii").strip()
        if _MACHINE_ID_FORM.fullmatch(said):
            return hmac.new(bytes.fromhex(said), _PURPOSE, hashlib.sha256).hexdigest()[:16]
    return ""


def is_dead(worker: str, *, here: Identity | None = None, alone: bool = False) -> bool:
    """Whether the process behind a worker's name is certainly gone: it was here, and cannot be running now.

    The boot is the machine, whatever the host is called: its kernel can be asked. Of another boot it is
    certain where machine and name are the same. Where one of the two machines is not known, only the name
    is left: that is enough on a log that one machine keeps for itself. Two machines may have one name, and
    images that were copied one machine-id.

    Args:
        worker: the name a fit was claimed under.
        here: the asking process; this one by default.
        alone: whether the event log is one that no other machine writes to.
    """
    asked, own = Identity.of_worker(worker), here or own_identity()
    if asked is None:
        return False
    if asked.boot_id != own.boot_id:
        is_known = bool(asked.machine and own.machine)
        is_same = asked.machine == own.machine if is_known else alone
        return is_same and asked.host == own.host
    if asked.namespace != own.namespace:
        return False
    return start_ticks(asked.pid) != asked.started


def booted_at() -> datetime | None:
    """Return when this machine was started (proc(5), btime), None where that is not told."""
    with suppress(OSError, ValueError), Path("/proc/stat").open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith("btime "):
                return datetime.fromtimestamp(int(line.split()[1]), UTC)
    return None


def unit_name() -> str | None:
    """Return the unit of systemd that this process is in, by its control group; None for none."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            parts = line.rpartition(":")[2].split("/")
            for part in reversed(parts):
                if part.endswith(".service") and not part.startswith("user@"):
                    return part
    return None


def is_stopped(pid: int) -> bool:
    """Whether a process exists and is stopped by a signal or a debugger: it cannot do anything."""
    return _stat_fields(pid)[:1] in ([b"T"], [b"t"])


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc(5), field 22); None when it is gone.

    A zombie counts as gone: it runs no more.
    """
    fields = _stat_fields(pid)
    return None if not fields or fields[0] in (b"Z", b"X") else int(fields[19])


def _stat_fields(pid: int) -> list[bytes]:
    """Return the fields of a process's stat behind its name, which may hold blanks; none when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()
