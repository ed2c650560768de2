"""The warm server of one kind: `python -m executors.warm_server KIND`, started by `executors.warm`.

It imports what fits of its kind need once, then forks a process for each fit it is asked for. It has one
thread, does nothing but wait, fork and bury, and ends, with all its fits, when its parent is gone.

A fit is asked for by a message over the control socket (JSON: spec, families, environment) that carries four
descriptors: where the server tells of it, where the fit reports, its lifeline, its log. Of each fit the
server tells `{"pid": n}`, with a descriptor of the process, and `{"code": n}` once its whole group is ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from executors import child
from executors.confinement import adopt_orphans, die_with_parent, post_guard
from executors.errors import ExecutorsError
from executors.families import resolve
from executors.kinds import LATE_IMPORTS, leave_out_slow_interfaces
from executors.process import CONTROL_FD
from executors.trainers import library_versions, trainer_of

REQUEST_BYTES = 65536
_DESCRIPTORS = 4
_ALWAYS = ("executors.bundle", "executors.evaluation", "executors.weights", "pyarrow.parquet")
_CHILDREN = Path("/proc/thread-self/children")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A fit to be forked, and the descriptors that came with it."""

    spec_path: Path
    families: tuple[str, ...]
    environment: Mapping[str, str]
    tell: socket.socket
    report_fd: int
    lifeline_fd: int
    log_fd: int

    def close(self) -> None:
        """Let go of what only the fit needs."""
        for descriptor in (self.report_fd, self.lifeline_fd, self.log_fd):
            os.close(descriptor)


class Server:
    """Forks, follows and buries the fits of one kind."""

    def __init__(self, control: socket.socket) -> None:
        self._control, self._pid = control, os.getpid()
        self._fits: dict[int, socket.socket] = {}  # leader of the group -> where its end is told
        self._loaded: set[str] = set()
        self._alive_read, self._alive_write = os.pipe()  # the second end is this process's alone
        self._woken, self._waker = socket.socketpair()
        for one in (self._woken, self._waker):
            one.setblocking(False)  # noqa: FBT003 (the standard library's own)

    def serve(self) -> None:
        """Do what is asked until the parent closes the socket or dies, then end every fit."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        asked = True
        while asked:
            ready = [descriptor for descriptor, _ in poll.poll()]
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            self._bury()
            if self._control.fileno() in ready:
                asked = self._take()
        for leader in self._fits:
            _end_group(leader)

    def _take(self) -> bool:
        """Do what is asked next; False when nobody can ask any more."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._control, REQUEST_BYTES, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return False
        if not message:
            return False
        asked: dict[str, Any] = json.loads(message)
        tell, report_fd, lifeline_fd, log_fd = descriptors
        request = _Request(
            spec_path=Path(asked["spec"]),
            families=tuple(asked["families"]),
            environment=asked["environment"],
            tell=socket.socket(fileno=tell),
            report_fd=report_fd,
            lifeline_fd=lifeline_fd,
            log_fd=log_fd,
        )
        for family in request.families:
            self._load(family)
        self._fork(request)
        return True

    def _load(self, family: str) -> None:
        """Import what trains a family, once; where that fails the fit says why, in its own words."""
        if family in self._loaded:
            return
        self._loaded.add(family)
        with contextlib.suppress(ImportError, OSError, ExecutorsError):
            library_versions(trainer_of(family).LIBRARIES)  # looked for on the disk, then known
            for name in LATE_IMPORTS.get(resolve(family).library or "", ()):
                importlib.import_module(name)
        gc.collect()

    def _fork(self, request: _Request) -> None:
        gc.freeze()  # what is there now is never looked at again, so its pages stay shared
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # none is lost before the fit listens
        try:
            pid = os.fork()
        except OSError as error:
            with contextlib.suppress(OSError):  # the log may lie on a full disk
                os.write(request.log_fd, f"the fit's process cannot be forked: {error}\n".encode())
            _tell(request.tell, {"code": 1})
            request.tell.close()
        else:
            if pid == 0:
                self._become_fit(request)
            self._fits[pid] = request.tell
            descriptor = os.pidfd_open(pid)
            _tell(request.tell, {"pid": pid}, descriptor)
            os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        request.close()

    def _become_fit(self, request: _Request) -> NoReturn:
        """Turn the forked process into the one that does the fit."""

        def settle() -> None:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (1, 2):
                os.dup2(request.log_fd, descriptor)
            for one in (self._control, self._woken, self._waker, request.tell, *self._fits.values()):
                one.close()
            for descriptor in (self._alive_write, request.log_fd):
                os.close(descriptor)
            os.environ.update(request.environment)
            post_guard([request.lifeline_fd, self._alive_read])
            die_with_parent(self._pid)

        child.do(request.spec_path, request.report_fd, settle=settle)

    def _bury(self) -> None:
        """Take leave of all that has ended: first a fit's whole group is killed, then its end is told."""
        while (ended := _first_ended()) is not None:
            tell = self._fits.pop(ended, None)
            if tell is None:  # an orphan that came to us
                os.waitpid(ended, 0)
                continue
            _end_group(ended)  # not reaped yet, so the number is still its own
            _, status = os.waitpid(ended, 0)
            self._end_strays()
            _tell(tell, {"code": os.waitstatus_to_exitcode(status)})
            tell.close()

    def _end_strays(self) -> None:
        """End what left the group of a fit that is over: our children in no living fit's group."""
        for word in _CHILDREN.read_text(encoding="ascii").split() if _CHILDREN.exists() else ():
            pid = int(word)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid not in self._fits and os.getpgid(pid) not in self._fits:
                    os.kill(pid, signal.SIGKILL)


def _first_ended() -> int | None:
    """Return a child of ours that has ended and is not taken leave of, without doing so."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _end_group(leader: int) -> None:
    """Kill a fit and its group; one that has not made its group yet is killed alone."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(leader, signal.SIGKILL)


def _tell(place: socket.socket, word: Mapping[str, int], *descriptors: int) -> None:
    """Send a word; nobody listens any more when the parent has let go of the fit."""
    with contextlib.suppress(ConnectionError):
        socket.send_fds(place, [json.dumps(word).encode()], descriptors)


def main(arguments: list[str]) -> None:
    """Be the server of the kind `arguments[0]`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # fits are stopped one by one, and their ends must be told
    leave_out_slow_interfaces(arguments[0])
    adopt_orphans()
    for name in _ALWAYS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    Server(socket.socket(fileno=int(os.environ.pop(CONTROL_FD)))).serve()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
