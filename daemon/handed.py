"""Sockets that the service manager hands over with the start (sd_listen_fds(3))."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def handed_sockets(environ: MutableMapping[str, str], pid: int | None = None) -> tuple[int, ...]:
    """Return the descriptors that were meant for this process, and take the words about them away.

    No process that is started from here inherits them unless they are passed on by number.
    """
    said = [environ.pop(name, "") for name in _VARIABLES]
    if said[0] != str(os.getpid() if pid is None else pid) or not said[1].isdigit():
        return ()
    found = tuple(range(FIRST, FIRST + int(said[1])))
    for descriptor in found:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 (the standard library's own)
    return found
