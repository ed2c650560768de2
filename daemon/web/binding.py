"""The sockets that the page is served on: made here, or handed over by the service manager."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.errors import DaemonError
from daemon.web.listening import Listening

BACKLOG = 1024
_MODE = 0o660


class PlaceTaken(DaemonError):
    """The page cannot listen where it should."""

    exit_code = 75

    def __init__(self, where: str, problem: str, fix: str) -> None:
        super().__init__(f"the page cannot be served: {problem}", where=where, fix=fix)


def bound(place: Listening) -> socket.socket:
    """Return a socket that listens at a place; raises PlaceTaken."""
    with _told(place):
        return _unix(Path(place.path)) if place.path is not None else _tcp(place)


def require_free(place: Listening) -> None:
    """Raise PlaceTaken where one cannot listen at a port, without a moment of listening: nobody is misled."""
    with _told(place):
        family, address = _address(place)
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as what listens later has it
            tried.bind(address)


@contextlib.contextmanager
def _told(place: Listening) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        problem = "another process listens there" if taken else str(error.strerror or error)
        fix = "name another place with --port, or with web_listen" if taken else "correct web_listen"
        raise PlaceTaken(place.words, problem, fix) from error


def taken_over(descriptors: Sequence[int]) -> tuple[socket.socket, ...]:
    """Return the sockets behind descriptors that this process was started with."""
    return tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)


def _tcp(place: Listening) -> socket.socket:
    family, address = _address(place)
    return socket.create_server(address, family=family, backlog=BACKLOG)


def _address(place: Listening) -> tuple[socket.AddressFamily, tuple[str, int]]:
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, (str(address[0]), int(address[1]))


def _unix(path: Path) -> socket.socket:
    """Listen at a path; a socket that a dead process left there is replaced, a live one is not."""
    made = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink(missing_ok=True)
        before = os.umask(0o777 & ~_MODE)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _answers(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno != errno.ECONNREFUSED
    return True
