"""Power cuts: under a file system (everything not synced is gone) and under a disk (torn, out of order).

Both run in a mount namespace of their own: when the campaign ends, however it ends, its mounts and loop
devices go with it. Only what a worker was told before the cut is a promise.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaigns import main, search_path
from crew import Crew
from remembering_disk import RememberingDisk
from reporting import Progress
from store_audit import Audit, audit
from store_work import drained_to_the_end

_CLONE_NEWNS = 0x20000
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, with flag 2: nothing more is written, not even the journal
_NO_LOG_FLUSH = 2
_CUTS_PER_FILE = 10
_MEBIBYTES = {"ext4": 32, "xfs": 320}  # the least that mkfs.xfs takes is 300
_MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


def private_mounts() -> None:
    """Go into a mount namespace of our own, from which nothing shows outside."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    call("mount", "--make-rprivate", "/")


def call(*words: str) -> None:
    """Run a command; raises CalledProcessError."""
    environment = {**os.environ, "PATH": search_path()}
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """The file system in an image, mounted through a loop device that goes when it is unmounted."""
    place.mkdir(exist_ok=True)
    call("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        call("umount", str(place))


def shut_down(place: Path) -> None:
    """Cut the power of a file system: what it has not written is gone."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("=I", _NO_LOG_FLUSH))
    finally:
        os.close(descriptor)


def file_system(
    folder: Path, *, faults: int, kind: str = "ext4", mutant: str = "", seed: int = 1
) -> dict[str, Any]:
    """Cut a file system off again and again while workers write to it, and mount it anew."""
    image, place = folder / "image", folder / "mounted"
    chance = random.Random(seed)  # noqa: S311 - the same campaign for the same seed
    with image.open("wb") as file:
        file.truncate(_MEBIBYTES[kind] << 20)
    call(*_MAKE[kind], str(image))
    total, progress = Audit(), Progress(f"power cut of {kind}", faults)
    told: list[str] = []
    renew = True
    for cut in range(1, faults + 1):
        with mounted(image, place):
            path = place / "store.db"
            if renew:
                new_file(folder, path)
                told = []
            promised, problems = _work_and_cut(path, place, mutant, chance)
        told += promised
        with mounted(image, place):
            found = audit(path, told)
            found.problems += problems
            renew = not found.clean or cut % _CUTS_PER_FILE == 0
            if (renew or cut == faults) and not mutant:
                drained_to_the_end(path, found.problems)
        found.acknowledged = len(promised)
        total.add(found, f"cut {cut}")
        progress.at(cut)
    return {"faults": faults, "seconds": progress.seconds, **total.counts()}


def _work_and_cut(path: Path, place: Path, mutant: str, chance: random.Random) -> tuple[list[str], list[str]]:
    """Let workers write for a while and cut; returns the promises and problems from before the cut."""
    crew = Crew(path, size=3, mutant=mutant, seed=chance.randrange(2**40))
    try:
        crew.await_lines(chance.randrange(10, 60))
        crew.hear()
        promised, problems = list(crew.told), list(crew.problems)
        shut_down(place)
    finally:
        crew.close()
    return promised, problems


def new_file(folder: Path, path: Path) -> None:
    """Begin with a new store on the disk, durably."""
    for side in ("", "-wal", "-shm"):
        Path(f"{path}{side}").unlink(missing_ok=True)
    shutil.copyfile(folder / "migrated.db", path)
    for synced in (path, path.parent):
        descriptor = os.open(synced, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def block_device(folder: Path, *, faults: int, mutant: str = "", seed: int = 1) -> dict[str, Any]:
    """Take what a disk would hold after a cut, at random moments of workers that go on; audit that."""
    chance = random.Random(seed)  # noqa: S311 - the same campaign for the same seed
    total, progress, image = Audit(), Progress("power cut of a disk", faults), folder / "image"
    disk = RememberingDisk(folder / "disk", _MEBIBYTES["ext4"] << 20, seed=seed)
    in_flight = done = 0
    try:
        call(*_MAKE["ext4"], str(folder / "disk"))
        with mounted(folder / "disk", folder / "mounted") as place:
            while done < faults:
                path = place / "store.db"
                new_file(folder, path)
                crew, known = Crew(path, size=3, mutant=mutant, seed=chance.randrange(2**40)), 0
                try:
                    for _ in range(min(_CUTS_PER_FILE, faults - done)):
                        crew.await_lines(chance.randrange(10, 60))
                        crew.hear()
                        promised, problems = list(crew.told), list(crew.problems)
                        in_flight += disk.cut(image)
                        found = _audited_image(image, folder / "after", promised)
                        found.problems += problems
                        found.acknowledged, known = len(promised) - known, len(promised)
                        done += 1
                        total.add(found, f"cut {done}")
                        progress.at(done)
                finally:
                    crew.close()
    finally:
        disk.close()
    return {"faults": faults, "seconds": progress.seconds, "in_flight": in_flight, **total.counts()}


def _audited_image(image: Path, place: Path, promised: list[str]) -> Audit:
    """Mount an image, as after the power came back, and audit the store on it."""
    try:
        with mounted(image, place):
            return audit(place / "store.db", promised)
    except (subprocess.CalledProcessError, sqlite3.Error) as error:
        return Audit(lost=len(promised), problems=[f"not readable: {error}"])


_KINDS = {"file system": file_system, "block device": block_device}


def campaign(folder: Path, *, level: str, **options: Any) -> dict[str, Any]:
    """Run one of the two, with its mounts to itself."""
    private_mounts()
    return _KINDS[level](folder, **options)


if __name__ == "__main__":
    main(campaign)
