"""Fits forked from warm servers: a process that has its libraries already starts in milliseconds.

There is one server for each kind of library and number of threads, both of which must be settled before an
import. It is started by the first fit that needs it, ends with this process, and when it has long been idle.
When a server dies its fits die with it; each comes back as lost, and the next start makes a new server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from executors.contract import FitSpec
from executors.kinds import families_of, kind_of
from executors.lives import is_readable, send_signal
from executors.process import (
    CONTROL_FD,
    VISIBLE_DEVICES,
    Child,
    Pipes,
    child_environment,
    start,
    visible_devices,
    write_spec,
)

IDLE_SECONDS = 300.0
_END_SECONDS = 5.0
_WORD_BYTES = 256
_ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # of pyarrow; only one thread may fork
SERVER = "executors.warm_server"


class WarmServers:
    """The servers of this process. Not thread safe: one thread asks at a time."""

    def __init__(
        self, *, idle_seconds: float = IDLE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._idle_seconds, self._clock = idle_seconds, clock
        self._servers: dict[tuple[str, int], _Server] = {}
        self._cold: set[tuple[str, int]] = set()  # whose server died before it could fork anything

    @property
    def pids(self) -> tuple[int, ...]:
        """The servers that live."""
        return tuple(server.pid for server in self._servers.values() if server.lives)

    def start(self, spec: FitSpec, *, log_path: Path, spec_path: Path) -> Child:
        """Have the process that does `spec` forked and return at once.

        A kind whose server cannot even start gets a process of its own for each fit, whose log says why.

        Args:
            spec: what to do.
            log_path: receives the child's standard output and error, appended.
            spec_path: where the spec is written for the child to read.

        Raises:
            OSError: a file cannot be written or no process can be had.
        """
        place = (kind_of(spec), spec.threads)
        server = self._servers.get(place)
        if server is not None and not server.lives:
            del self._servers[place]
            if not server.has_forked:
                self._cold.add(place)
            server.close()
            server = None
        if place in self._cold:
            return start(spec, log_path=log_path, spec_path=spec_path)
        write_spec(spec, log_path=log_path, spec_path=spec_path)
        if server is None:
            server = self._servers[place] = _Server(place[0], spec, log_path)
        try:
            return server.fork(spec, log_path=log_path, spec_path=spec_path)
        except ConnectionError:  # it has just died
            return start(spec, log_path=log_path, spec_path=spec_path)

    def tend(self) -> None:
        """End the servers that have had no fit for a while; memory and libraries go with them."""
        for place, server in list(self._servers.items()):
            if server.idle_seconds(self._clock()) >= self._idle_seconds:
                del self._servers[place]
                server.close()

    def close(self) -> None:
        """End all servers, and with them every fit that still runs."""
        for server in self._servers.values():
            server.hang_up()
        for server in self._servers.values():
            server.close()
        self._servers.clear()


class ForkedProcess:
    """A fit's process, asked of a server: before it is forked, while it runs, after its end."""

    def __init__(self, words: socket.socket, server_pid: int) -> None:
        words.setblocking(False)  # noqa: FBT003 (the standard library's own)
        self._pid = server_pid  # until it is known better: whoever is stopped or dies now is the server
        self._words: socket.socket | None = words
        self._process: int | None = None
        self._code: int | None = None
        self._forked = False

    @property
    def pid(self) -> int:
        """Its number; before it is forked, that of the server."""
        self.code()
        return self._pid

    @property
    def forked(self) -> bool:
        """Whether the server has ever said its number."""
        return self._forked

    def code(self) -> int | None:
        """Return its exit code once it has ended, and its group before it.

        Where the server is gone it is SIGKILL: the kernel and the guard end its fits, and we make sure.
        """
        while self._code is None and self._words is not None:
            try:
                self._hear(self._words)
            except BlockingIOError:
                return None
        if self._code is None and (self._process is None or is_readable(self._process)):
            self._code = -signal.SIGKILL
        if self._code is not None:
            self._let_go()
        return self._code

    def fileno(self) -> int:
        """Return the descriptor that is readable once there may be an end; -1 when there is none left."""
        if self._words is not None:
            return self._words.fileno()
        return -1 if self._process is None else self._process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone; asked before it was forked it never will be."""
        if self.code() is None:
            if self._process is None:
                self._code = -number
                self._let_go()  # forked after this it finds that nobody listens, and its lifeline cut
            else:
                send_signal(self._process, number)

    def kill(self) -> None:
        """End the process; its server then ends the group before it tells of the end."""
        self.signal(signal.SIGKILL)

    def _let_go(self) -> None:
        if self._words is not None:
            self._words.close()
        if self._process is not None:
            os.close(self._process)
        self._words = self._process = None

    def _hear(self, words: socket.socket) -> None:
        """Take in the next word of the server; raises BlockingIOError when there is none yet."""
        try:
            message, descriptors, _, _ = socket.recv_fds(words, _WORD_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            message, descriptors = b"", []
        if not message:
            words.close()
            self._words = None
            if self._process is not None:
                send_signal(self._process, signal.SIGKILL)
            return
        word = json.loads(message)
        if "pid" in word:
            self._pid, self._process, self._forked = word["pid"], descriptors[0], True
        else:
            self._code = word["code"]


class _Server:
    """One server: its process, the socket it listens to, the fits it was asked for."""

    def __init__(self, kind: str, spec: FitSpec, log_path: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = child_environment(spec, os.environ)
        environment |= {CONTROL_FD: str(theirs.fileno()), **_ONE_THREAD}
        with ExitStack() as undo:
            undo.enter_context(ours)
            # What it says while it imports, or when it crashes, goes to the log of the fit it is started for.
            with theirs, log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", SERVER, kind],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            undo.pop_all()
        self._control = ours
        self._asked: list[ForkedProcess] = []
        self._served = False
        self._idle_since: float | None = None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def has_forked(self) -> bool:
        """Whether any fit came of it."""
        return self._served or any(life.forked for life in self._asked)

    def fork(self, spec: FitSpec, *, log_path: Path, spec_path: Path) -> Child:
        """Ask for the process that does `spec`; raises OSError."""
        words, their_words = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = {
            "spec": str(spec_path.absolute()),
            "families": families_of(spec),
            "environment": {VISIBLE_DEVICES: visible_devices(spec, os.environ)},
        }
        with ExitStack() as undo:
            undo.enter_context(words)
            pipes = Pipes.opened()
            undo.callback(pipes.close_ours)
            try:
                with their_words, log_path.open("ab") as log:
                    given = (their_words.fileno(), pipes.report_write, pipes.lifeline_read, log.fileno())
                    socket.send_fds(self._control, [json.dumps(asked).encode()], given)
            finally:
                pipes.close_theirs()
            undo.pop_all()
        life = ForkedProcess(words, self.pid)
        self._asked.append(life)
        self._idle_since = None
        return pipes.child(spec, life, log_path=log_path)

    def idle_seconds(self, now: float) -> float:
        """Return for how long, at a moment of the clock, it has had no fit."""
        self._served = self.has_forked
        self._asked = [life for life in self._asked if life.code() is None]
        if self._asked:
            return 0.0
        if self._idle_since is None:
            self._idle_since = now
        return now - self._idle_since

    def hang_up(self) -> None:
        """Let it end with all its fits."""
        self._control.close()

    def close(self) -> None:
        """End it with all its fits, now; one that still imports has none and is not waited for."""
        self._control.close()
        if all(life.code() is None and not life.forked for life in self._asked) and not self._served:
            self._process.kill()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
