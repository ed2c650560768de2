"""Notices by a program of the user's: JSON on standard input, a time limit, no secrets in its environment."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

from daemon.channels import NotDelivered
from daemon.leftovers import STARTED_BY
from daemon.notices import Notice

LIMIT_SECONDS = 30.0
PIPE_BYTES = 65536  # what a pipe holds
SAID_BYTES = 400  # of its last words, for the log
KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", STARTED_BY),
    }
)


class NotifyCommand:
    """One program and its arguments; no shell reads them. All it started is ended with it."""

    name = "command"

    def __init__(
        self,
        words: Sequence[str],
        *,
        limit_seconds: float = LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words, self._limit_seconds, self._clock = tuple(words), limit_seconds, clock
        self._process: subprocess.Popen[bytes] | None = None

    def deliver(self, notice: Notice) -> None:
        """Run the program; the notice has arrived once it ends with 0. Raises NotDelivered."""
        with tempfile.TemporaryFile() as document:
            document.write(json.dumps(notice.document(), default=str).encode() + b"\n")
            document.seek(0)
            try:
                process = subprocess.Popen(
                    self._words,
                    stdin=document,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=environment(os.environ),
                    start_new_session=True,
                )
            except OSError as error:
                fix = "look at notify_command"
                raise NotDelivered(
                    f"cannot be run: {error.strerror}", where=self._words[0], fix=fix
                ) from error
        self._process = process
        try:
            code, said = self._ended(process)
        finally:
            self._process = None
        if code != 0:
            ended = f"took longer than {self._limit_seconds:g} s" if code is None else f"ended with {code}"
            raise NotDelivered(f"{ended}{f', saying: {said}' if said else ''}", where=self._words[0])

    def close(self) -> None:
        """End what is under way."""
        process = self._process
        if process is not None:
            _end_group(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> tuple[int | None, str]:
        """Return the exit code, None for one that had to be ended, and its last words."""
        deadline, said = self._clock() + self._limit_seconds, b""
        end, pipe = os.pidfd_open(process.pid), os.dup(process.stdout.fileno() if process.stdout else 0)
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.register(pipe, select.POLLIN)
        ready: set[int] = set()
        while end not in ready and (left := deadline - self._clock()) > 0:
            ready = {descriptor for descriptor, _ in poll.poll(left * 1000)}
            if pipe in ready and not (word := os.read(pipe, PIPE_BYTES)):
                poll.unregister(pipe)  # nobody holds its other end any more, but the process may go on
            elif pipe in ready:
                said = (said + word)[-SAID_BYTES:]
        _end_group(process)  # not waited for yet, so the number is still its own
        code = process.wait()
        if select.select([pipe], [], [], 0)[0]:
            said = (said + os.read(pipe, PIPE_BYTES))[-SAID_BYTES:]
        for descriptor in (end, pipe):
            os.close(descriptor)
        if process.stdout:
            process.stdout.close()
        return (code if end in ready else None), " ".join(said.decode(errors="replace").split())


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a program needs of an environment: none of our settings, none of anybody's keys."""
    return {name: value for name, value in environ.items() if name in KEPT or name.startswith("LC_")}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # nothing of it is left
