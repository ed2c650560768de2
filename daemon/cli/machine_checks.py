"""What the machine has: Python, libraries, cores, memory, GPU, limits of the system, its clock and layout."""

from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import importlib.util
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding, found, gigabytes, shown
from daemon.settings import Settings

WATCHES_MIN = 1024
FILES_MIN, FILES_PER_FIT = 256, 32  # descriptors: of the daemon, of each fit and its server
LIBRARIES = ("lightgbm", "xgboost", "torch", "pandas", "pyarrow", "sqlmodel", "psycopg")
SYSTEM_LIBRARIES = {"lightgbm": ("libgomp.so.1", "apt-get install libgomp1")}
CARDS, DEVICES = Path("/proc/driver/nvidia/gpus"), Path("/dev")
GROUPS = Path("/sys/fs/cgroup")
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def python(_asked: Asked) -> Iterator[Finding]:
    """Look whether Python is in an environment of its own."""
    inside = sys.prefix != sys.base_prefix
    trouble = (WARN, "not in an environment of its own", "install into one: make demo makes one")
    yield found("python", sys.version.split()[0], *(() if inside else (trouble,)))


def libraries(_asked: Asked) -> Iterator[Finding]:
    """Look whether the libraries are installed, and what the system must have for them."""
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is None:
            extra = {"torch": "torch", "psycopg": "postgres"}.get(name)
            fix = f"pip install 'trainwright[{extra}]'" if extra else f"pip install {name}"
            yield Finding(name=name, state=WARN if extra else FAIL, words="not installed", fix=fix)
            continue
        needed, fix = SYSTEM_LIBRARIES.get(name, ("", ""))
        lacks = needed and not _loads(needed)
        trouble = (FAIL, f"the system's {needed} is missing", fix)
        yield found(name, importlib.metadata.version(name), *((trouble,) if lacks else ()))


def cores(asked: Asked) -> Iterator[Finding]:
    """Look whether every thread has a core."""
    settings, usable = asked.settings, len(os.sched_getaffinity(0))
    words = f"{usable} usable, {settings.cpu_slots} CPU slots"
    fits = settings.cpu_slots * settings.threads_per_fit <= usable
    trouble = (WARN, "more threads than cores", "lower cpu_slots or threads_per_fit")
    yield found("cores", words, *(() if fits else (trouble,)))


def memory(asked: Asked) -> Iterator[Finding]:
    """Look whether there is as much memory as fits may take."""
    there, wanted = memory_bytes(), asked.settings.memory_bytes
    words = f"{gigabytes(there)}, {'not counted' if wanted is None else gigabytes(wanted)} for fits"
    trouble = (WARN, "fits may take more than there is", "lower memory_bytes")
    yield found("memory", words, *((trouble,) if wanted is not None and wanted > there else ()))


def gpu(asked: Asked) -> Iterator[Finding]:
    """Look for cards, whether this account may use them, and whether there are as many as slots."""
    cards = sorted(path.name for path in CARDS.iterdir()) if CARDS.is_dir() else []
    if not cards:
        words = "none; GPU fits train on the CPU and say so"
        if _is_one_of_several(asked.settings) and asked.settings.gpu_slots:
            words += "; it has the label gpu all the same: gpu_slots = 0 leaves them to other hosts"
        yield Finding(name="gpu", state=OK, words=words)
        return
    troubles = []
    closed = [path for path in sorted(DEVICES.glob("nvidia[0-9]*")) if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        fix = f"let this account use {closed[0]} (its group, or DeviceAllow= of the unit)"
        troubles.append((FAIL, f"{shown(closed)} cannot be opened by this account", fix))
    if asked.settings.gpu_slots > len(cards):
        words = f"gpu_slots is {asked.settings.gpu_slots}, more than there are"
        troubles.append((WARN, words, f"set gpu_slots to {len(cards)}"))
    yield found("gpu", f"{len(cards)} ({', '.join(cards)})", *troubles)


def _is_one_of_several(settings: Settings) -> bool:
    """Whether fits run on this machine and might as well on others."""
    return settings.engine == "own" and not settings.database_url.startswith("sqlite:///")


def open_files(asked: Asked) -> Iterator[Finding]:
    """Look whether enough files may be open at once."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_MIN + FILES_PER_FIT * (asked.settings.cpu_slots + asked.settings.gpu_slots)
    enough = limit == resource.RLIM_INFINITY or limit >= needed
    trouble = (
        WARN,
        f"{needed:,} may be needed",
        f"LimitNOFILE={max(needed, 65536)} in the unit, or ulimit -n",
    )
    yield found("open files", f"{limit:,} allowed", *(() if enough else (trouble,)))


def inotify(asked: Asked) -> Iterator[Finding]:
    """Look whether the kernel tells of new files: by trying."""
    limits = {
        name: _number(Path(f"/proc/sys/fs/inotify/max_user_{name}")) for name in ("watches", "instances")
    }
    words = f"{limits['watches']:,} watches, {limits['instances']:,} instances"
    troubles = []
    refused = _refused_watch(asked.settings.inbox_dir)
    if refused == errno.EMFILE:
        fix = "sysctl fs.inotify.max_user_instances=512; until then the inbox is seen by its timer"
        troubles.append((WARN, "none is left for this account", fix))
    elif refused or limits["watches"] < WATCHES_MIN:
        problem = (
            f"no watch is given ({errno.errorcode.get(refused, refused)})" if refused else "these are few"
        )
        fix = "sysctl fs.inotify.max_user_watches=65536; until then the inbox is seen by its timer"
        troubles.append((WARN, problem, fix))
    yield found("inotify", words, *troubles)


def clock(_asked: Asked) -> Iterator[Finding]:
    """Look whether the kernel takes the clock for right."""
    state = _clock_state()
    if state is None:
        yield Finding(name="clock", state=OK, words="the kernel does not say whether it is right")
        return
    trouble = (WARN, "windows, schedules and times of events go wrong with it", "timedatectl set-ntp true")
    wrong = state == TIME_ERROR
    yield found("clock", "not synchronised" if wrong else "synchronised", *((trouble,) if wrong else ()))


def control_groups(_asked: Asked) -> Iterator[Finding]:
    """Say which layout of control groups there is: by it the limits of a unit hold or do not."""
    if (GROUPS / "cgroup.controllers").exists():
        words = "unified: all limits of the unit hold"
    elif (GROUPS / "unified").is_dir():
        words = "hybrid: MemoryMax= of a unit holds, IPAddressDeny= does not"
    else:
        words = "legacy or none: IPAddressDeny= of a unit does not hold"
    yield Finding(name="cgroups", state=OK, words=words)


def memory_bytes() -> int:
    """Return the main memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii")) if path.exists() else 0


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _refused_watch(directory: Path) -> int:
    """Return the number of the error with which the kernel refuses to watch a directory, 0 for none."""
    library = ctypes.CDLL(None, use_errno=True)
    place = next(path for path in (directory, *directory.parents) if path.is_dir())
    descriptor = library.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno()
    refused = library.inotify_add_watch(descriptor, os.fsencode(place), 0x100) < 0  # IN_CREATE
    number = ctypes.get_errno()
    os.close(descriptor)
    return number if refused else 0


def _clock_state() -> int | None:
    """Return what adjtimex(2) says of the clock; None where it may not be asked."""
    asking = ctypes.create_string_buffer(256)  # struct timex, all zero: change nothing
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(asking))
    return None if state < 0 else state


CHECKS: tuple[Check, ...] = (
    *(python, libraries, cores, memory, gpu, open_files, inotify, clock, control_groups),
)
