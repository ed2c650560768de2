"""The warm process that plans are judged in: `python -m daemon.judging_server`, started by `daemon.judging`.

It has imported what judging takes, has one thread, and does nothing but wait, fork a limited child for each
plan, and tell of its end. It ends, and every child with it, when the daemon is gone.

A plan is asked about by a message over the control socket that carries four descriptors: the question, the
plan, where the answer goes, and where the end is told: `{"pid": n}` with a descriptor of the process, then
`{"code": n}`. Whatever else a child says goes behind the answer's file as its standard error.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.judging_child import judge
from daemon.judging_questions import CONTROL_FD, TRY_AGAIN
from executors.confinement import die_with_parent
from executors.families import FAMILIES, availability

DESCRIPTORS = 5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A plan to be judged: the descriptors that came with it."""

    question_fd: int
    plan_fd: int
    answer_fd: int
    log_fd: int
    tell: socket.socket

    def close(self) -> None:
        """Let go of what only the child needs."""
        for descriptor in (self.question_fd, self.plan_fd, self.answer_fd, self.log_fd):
            os.close(descriptor)


class Server:
    """Forks children and buries them."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, socket.socket] = {}
        self._woken, self._waker = socket.socketpair()
        for one in (self._woken, self._waker):
            one.setblocking(False)  # noqa: FBT003 (the standard library's own)

    def serve(self) -> Asked | None:
        """Do what is asked until the daemon is gone; in a forked child, return what it is to judge."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            self._bury()
            if self._control.fileno() in ready:
                asked = self._heard()
                if asked is None:
                    return None
                if self._fork(asked):
                    return asked

    def close(self) -> None:
        """End every child."""
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _heard(self) -> Asked | None:
        """Return what is asked; None when nobody can ask any more."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._control, 64, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return None
        if not message or len(descriptors) != DESCRIPTORS:
            return None
        question_fd, plan_fd, answer_fd, log_fd, tell_fd = descriptors
        return Asked(
            question_fd=question_fd,
            plan_fd=plan_fd,
            answer_fd=answer_fd,
            log_fd=log_fd,
            tell=socket.socket(fileno=tell_fd),
        )

    def _fork(self, asked: Asked) -> bool:
        """Fork the child of a plan; True in the child."""
        gc.freeze()  # what is there now is never looked at again, so its pages stay shared
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            with contextlib.suppress(OSError):  # the log may lie on a full disk
                os.write(asked.log_fd, f"no process could be had: {error}\n".encode())
            _tell(asked.tell, {"code": TRY_AGAIN})
            asked.tell.close()
        else:
            if pid == 0:
                self._become_child(asked, server)
                return True
            self._children[pid] = asked.tell
            descriptor = os.pidfd_open(pid)
            _tell(asked.tell, {"pid": pid}, descriptor)
            os.close(descriptor)
        asked.close()
        return False

    def _become_child(self, asked: Asked, server: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *_STOP_SIGNALS):
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(server)
        for descriptor in (1, 2):
            os.dup2(asked.log_fd, descriptor)
        for one in (
            self._control,
            self._woken,
            self._waker,
            asked.tell,
            *self._children.values(),
        ):
            one.close()
        self._children.clear()

    def _bury(self) -> None:
        """Take leave of all that has ended, and tell of each end."""
        for pid, tell in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[pid]
                _tell(tell, {"code": os.waitstatus_to_exitcode(status)})
                tell.close()


def _tell(place: socket.socket, word: Mapping[str, int], *descriptors: int) -> None:
    """Send a word; nobody listens any more when the daemon has let go of the plan."""
    with contextlib.suppress(ConnectionError):
        socket.send_fds(place, [json.dumps(word).encode()], descriptors)


def main(arguments: list[str]) -> None:
    """Be the server; `arguments` may name the process whose end is the server's end."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the daemon says when it is over
    if arguments:
        die_with_parent(int(arguments[0]))
    for family in FAMILIES:
        availability(family)  # whether its library is there: looked for on the disk once, then known
    server = Server(socket.socket(fileno=int(os.environ.pop(CONTROL_FD))))
    asked = server.serve()
    if asked is not None:  # a child: whatever it raises ends it with a traceback and code 1
        judge(asked.question_fd, asked.plan_fd, asked.answer_fd)
    server.close()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
