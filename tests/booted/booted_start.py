"""Started as a process of its own: becomes the supervisor of a booted machine, in a private mount namespace.

Its argument is a JSON object: `parent` (who wants it), `groups` (control groups to join), `lower`, `upper`,
`work` and `root` (the overlay), `command` and `environment` of systemd-nspawn(1). Nothing it mounts is seen
outside, and all of it ends with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

_CLONE_NEWNS = 0x0002_0000
_MS_REC, _MS_PRIVATE = 0x4000, 0x4_0000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Join the groups, mount, and turn into systemd-nspawn."""
    given = json.loads(sys.argv[1])
    _checked("prctl", _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != given["parent"]:
        raise SystemExit("whoever wanted the machine is gone")
    for group in given["groups"]:
        Path(group, "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    _checked("unshare", _LIBC.unshare(_CLONE_NEWNS))
    _mount(b"none", "/", b"", _MS_REC | _MS_PRIVATE, "")
    places = f"lowerdir={given['lower']},upperdir={given['upper']},workdir={given['work']}"
    _mount(b"overlay", given["root"], b"overlay", 0, places)
    _mount(b"tmpfs", "/run", b"tmpfs", 0, "mode=755")  # for the notes of systemd-nspawn
    words = given["command"]
    os.execvpe(words[0], words, {**os.environ, **given["environment"]})  # noqa: S606  no shell is wanted


def _mount(source: bytes, target: str, kind: bytes, flags: int, data: str) -> None:
    flagged = ctypes.c_ulong(flags)
    _checked(f"mount {target}", _LIBC.mount(source, target.encode(), kind, flagged, data.encode() or None))


def _checked(what: str, answer: int) -> None:
    if answer:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
