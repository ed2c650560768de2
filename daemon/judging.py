"""Has plans judged outside the daemon: each in a limited child, forked from a process that is warm.

The daemon hands over a private copy and hears an answer. It waits for nothing: `answer` is None until there
is one. A child may take so much memory, processor time and time by the clock; what it costs beyond that, it
costs that one plan. When the warm process itself is lost, what it was asked is asked again of a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from daemon.judging_answers import Rejection, decoded, printable
from daemon.judging_questions import CONTROL_FD, TRY_AGAIN, Limits, settings_words
from daemon.settings import Settings
from executors.process import SECRETS
from executors.warm import ForkedProcess
from store.plan import Plan

log = structlog.get_logger("judging")

LOSSES_MAX = 3  # of the child of one plan, to a signal from outside, after which the plan is refused
AGAIN_SECONDS = 1.0  # until a process that could not be had is asked for again
_MEMORY_SHARE = 0.5  # of the machine's, of one plan's child, where the settings do not say it
_TAIL_BYTES = 4000
_ANSWER_FACTOR, _ANSWER_BYTES = 64, 2**26
_ONE_THREAD = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """What the child reads and writes, all private."""

    plan: Path
    question: Path
    answer: Path
    log: Path

    @classmethod
    def beside(cls, plan: Path) -> _Files:
        """Return the names beside a private copy."""
        return cls(
            plan=plan,
            question=plan.with_suffix(".question"),
            answer=plan.with_suffix(".answer"),
            log=plan.with_suffix(".log"),
        )

    def remove(self) -> None:
        """Remove all of them."""
        for path in (self.plan, self.question, self.answer, self.log):
            path.unlink(missing_ok=True)


class Judgement:
    """One plan being judged. Not thread safe."""

    def __init__(self, judges: Judges, copy: Path, *, source: str) -> None:
        self.source = source
        self._judges, self._files = judges, _Files.beside(copy)
        self._bytes = copy.stat().st_size
        self._limits = judges.limits_of(self._bytes)
        self._losses = 0
        question = {
            "source": source,
            "settings": settings_words(judges.settings),
            "limits": asdict(self._limits),
        }
        self._files.question.write_text(json.dumps(question), encoding="utf-8")
        self._life: ForkedProcess | None = None
        self._until = self._again_at = 0.0
        self._begin()

    def fileno(self) -> int:
        """Return the descriptor that is readable once there may be an answer; -1 when there is none."""
        return -1 if self._life is None else self._life.fileno()

    def answer(self) -> Plan | Rejection | None:
        """Return the plan, or why it is refused; None while it is being judged, or waits for a process."""
        if self._life is None:
            if self._judges.clock() >= self._again_at:
                self._begin()
            return None
        code = self._life.code()
        if self._life.forked:
            self._judges.trouble = None
        if code is None:
            return self._late() if self._judges.clock() > self._until else None
        if code == -signal.SIGKILL and (self._losses < LOSSES_MAX or not self._life.forked):
            self._lost(forked=self._life.forked)
            return None
        if code == TRY_AGAIN:
            self._wait(f"a plan cannot be judged here now: {self._last_words()}")
            self._life = None
            return None
        return self._heard(code)

    def close(self) -> None:
        """End what still judges, and remove the private files."""
        if self._life is not None:
            self._life.kill()
        self._files.remove()

    def _begin(self) -> None:
        try:
            self._life = self._judges.fork(self._files)
        except OSError as error:
            self._wait(f"no process that judges plans can be had: {error}")
        self._until = self._judges.clock() + self._judges.settings.judging_seconds_max

    def _lost(self, *, forked: bool) -> None:
        """The child was killed from outside, or the warm process was lost: no fault of the plan, at first."""
        if forked:
            self._losses += 1
        else:
            self._wait("the process that judges plans does not come up: see the daemon's log")
        self._life = None

    def _wait(self, trouble: str) -> None:
        """The plan waits for a process that is to be had again; that is no fault of its own."""
        self._judges.trouble = trouble
        self._again_at = self._judges.clock() + AGAIN_SECONDS

    def _late(self) -> Rejection:
        seconds = self._judges.settings.judging_seconds_max
        if self._life is not None:
            self._life.kill()
        return _problem(f"it was not judged within {seconds:g} s (judging_seconds_max)")

    def _heard(self, code: int) -> Plan | Rejection:
        if code == -signal.SIGXCPU:
            return _problem("judging it took more processor time than it may")
        if code == 0:
            most = _ANSWER_BYTES + _ANSWER_FACTOR * self._bytes
            with self._files.answer.open("rb") as file:
                return decoded(file.read(most))
        return _problem(f"judging it ended with code {code}: {self._last_words()}")

    def _last_words(self) -> str:
        """Return the last line that the child said."""
        with self._files.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
        return printable(next((line for line in reversed(lines) if line.strip()), "without a word"))[:300]


class Judges:
    """The warm process. Not thread safe: one thread asks at a time."""

    def __init__(
        self,
        settings: Settings,
        place: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self.clock = settings, clock
        self.trouble: str | None = None
        self.place = place
        self._server: _Server | None = None

    @property
    def pid(self) -> int | None:
        """The number of the warm process, None when there is none."""
        return None if self._server is None else self._server.pid

    def start(self) -> None:
        """Sweep the private place of what a killed predecessor left there, and begin to warm up."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._warm()

    def judge(self, copy: Path, *, source: str) -> Judgement:
        """Have a private copy judged; raises OSError when the question cannot be written beside it."""
        return Judgement(self, copy, source=source)

    def limits_of(self, plan_bytes: int) -> Limits:
        """Return what the child of a plan of so many bytes may use."""
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        most = self.settings.judging_memory_bytes or round(machine * _MEMORY_SHARE)
        return Limits.of(plan_bytes, memory_bytes=most, seconds=self.settings.judging_seconds_max)

    def fork(self, files: _Files) -> ForkedProcess:
        """Ask the warm process for a child; raises OSError."""
        with contextlib.suppress(ConnectionError):
            return self._warm().fork(files)
        self.close()  # it has just died
        return self._warm().fork(files)

    def close(self) -> None:
        """End the warm process and all its children."""
        if self._server is not None:
            self._server.close()
        self._server = None

    def _warm(self) -> _Server:
        if self._server is not None and not self._server.lives:
            log.warning("the process that judges plans was lost", pid=self._server.pid)
            self.close()
        if self._server is None:
            self._server = _Server()
        return self._server


class _Server:
    """The process and the socket it listens to."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
        # The kernel sends the death signal when the *thread* that started it ends.
        in_main_thread = threading.current_thread() is threading.main_thread()
        with contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            with theirs:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-P", "-m", "daemon.judging_server"),
                        *([str(os.getpid())] if in_main_thread else []),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={
                        **environment,
                        **_ONE_THREAD,
                        CONTROL_FD: str(theirs.fileno()),
                    },
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            undo.pop_all()
        self._control = ours

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def fork(self, files: _Files) -> ForkedProcess:
        """Ask for the child that judges the plan of these files; raises OSError."""
        words, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as undo:
            undo.enter_context(words)
            with theirs, contextlib.ExitStack() as given:
                descriptors = [_opened(given, path, flags) for path, flags in _handed_over(files).items()]
                socket.send_fds(self._control, [b"judge"], [*descriptors, theirs.fileno()])
            undo.pop_all()
        return ForkedProcess(words, self.pid)

    def close(self) -> None:
        """End it now; the kernel ends its children with it."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def _handed_over(files: _Files) -> Mapping[Path, int]:
    """Return the files in the order of the descriptors, and how each is opened."""
    fresh = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return {
        files.question: os.O_RDONLY,
        files.plan: os.O_RDONLY,
        files.answer: fresh,
        files.log: fresh | os.O_APPEND,
    }


def _opened(given: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    given.callback(os.close, descriptor)
    return descriptor


def _problem(sentence: str) -> Rejection:
    return Rejection(
        place="",
        sentence=sentence,
        fix="Split the plan, or let the daemon's log say more and drop it again",
    )
