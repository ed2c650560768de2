"""Writers on Postgres that never give up: what a server does not answer is said again, with the same id.

A crew is a few forked processes that do every operation of the store and tell each answer through a pipe.
Beside the lines of `store_audit`, a crew tells: ``W ID`` a word was acknowledged, ``U OPERATION`` a call
ended without an answer, ``O`` the server is out of reach, ``B`` it is back, ``P ID`` the word of that call
was recorded all the same.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import random
import select
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import psycopg
from store_audit import Audit, audit_rows, spoken, told_claim, told_event
from store_samples import cs_job, plan_of
from store_work import LEASE_SECONDS, POLICY, die_with_parent, drain, succeeded_word

from store import Claim, DatabaseUnavailable, Failure, LeaseLost, PlanStore, StoreError
from store.database import Database, connect
from store.events import CheckpointSaved, FitProgressed, FitReleased, FitStarted
from store.ids import new_event_id

PATIENCE_SECONDS = 90.0
_PIPE_BYTES = 1 << 20
_WORDS = ("started", "progressed", "checkpointed", "succeeded", "failed", "released")
_OTHERS = ("claim", "renew", "accept")  # safe to be said again without an id
_ROWS = (
    "SELECT seq, encode(event_id, 'hex'), stream, version, kind, fit, plan, CAST(data AS TEXT) "
    "FROM event ORDER BY seq"
)
_WORD_KINDS = "('FitStarted', 'FitProgressed', 'CheckpointSaved', 'FitSucceeded', 'FitFailed', 'FitReleased')"
_EPOCH = datetime(2026, 1, 2, tzinfo=UTC)
Tell = Callable[[bytes], object]


def await_that(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true answer of a condition; fail when there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"in {PATIENCE_SECONDS} s there was no {what}"
        time.sleep(0.01)  # between two looks at a real condition
    return found


class Shared:
    """Numbers in memory that forked processes share: the word to stop, a clock, counters."""

    def __init__(self) -> None:
        self._cells = (ctypes.c_int64 * 16).from_buffer(mmap.mmap(-1, 128))

    def __getitem__(self, place: int) -> int:
        return int(self._cells[place])

    def __setitem__(self, place: int, value: int) -> None:
        self._cells[place] = value

    @property
    def stopped(self) -> bool:
        """Whether the writers shall end after what they are at."""
        return bool(self._cells[0])

    def stop(self) -> None:
        """Let the writers end."""
        self._cells[0] = 1

    def clock(self) -> datetime:
        """The time that only the test moves."""
        return _EPOCH + timedelta(microseconds=int(self._cells[1]))

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._cells[1] += round(seconds * 1_000_000)


class PatientStore(PlanStore):
    """A store for a bad network: it says everything again until it is answered, and tells what happened."""

    FRESH_ID: ClassVar[bool] = False  # the defect: a repeated word under a new id

    def __init__(self, database: Database, *, tell: Tell, **given: Any) -> None:
        super().__init__(database, **given)
        self._tell = tell

    def until_answered(self, operation: str, /, *given: Any, **named: Any) -> Any:
        """Call an operation of the store until the database answers; a word keeps its id."""
        event_id = named.get("event_id")
        while True:
            try:
                answer = getattr(super(), operation)(*given, **named)
            except DatabaseUnavailable:
                self._tell(f"U {operation}\n".encode())
                self._await_server()
                if event_id is not None and self._holds(event_id):
                    self._tell(f"P {event_id.hex()}\n".encode())
                if event_id is not None and self.FRESH_ID:
                    event_id = named["event_id"] = new_event_id()
            else:
                if event_id is not None:
                    self._tell(f"W {event_id.hex()}\n".encode())
                return answer

    def _holds(self, event_id: bytes) -> bool:
        while True:
            with suppress(DatabaseUnavailable), self._database.snapshot() as tx:
                return bool(tx.query("SELECT 1 FROM event WHERE event_id = ?", (event_id,)))
            self._await_server()

    def _await_server(self) -> None:
        def answers() -> bool:
            try:
                return self.head_seq() >= 0
            except DatabaseUnavailable:
                return False

        self._tell(b"O\n")
        await_that(answers, "answer from the server")
        self._tell(b"B\n")


def _patient(name: str, *, word: bool) -> Callable[..., Any]:
    def operation(self: PatientStore, *given: Any, **named: Any) -> Any:
        if word and named.get("event_id") is None:
            named["event_id"] = new_event_id()
        return self.until_answered(name, *given, **named)

    return operation


for _name in (*_WORDS, *_OTHERS):
    setattr(PatientStore, _name, _patient(_name, word=_name in _WORDS))


class Writer:
    """A worker that says nothing but what may be said again: by its id, or because it is the same twice."""

    def __init__(self, store: PatientStore, name: str, tell: Tell, seed: int) -> None:
        self.store, self.name, self.tell = store, name, tell
        self.chance = random.Random(seed)  # noqa: S311 - the same work every time

    def turn(self) -> None:
        """Claim fits and work on them, or accept a plan where none are ready."""
        claims = [claim for stage in ("cpu", "gpu") for claim in self.claim(stage)]
        if not claims:
            plan = plan_of(*(cs_job(f"y{place}") for place in range(4)), seed=self.chance.randrange(2**40))
            receipt = self.store.accept(plan, source="campaign", name=self.name)
            self.tell(told_event(receipt.seq, "PlanAccepted", receipt.plan_id))
        for claim in claims:
            with suppress(LeaseLost):
                self.work_on(claim, spoken(self.name, claim.fence))

    def claim(self, stage: str) -> tuple[Claim, ...]:
        """Claim one or two fits and tell."""
        limit = self.chance.randint(1, 2)
        claims = self.store.claim(self.name, stage=stage, limit=limit, lease_seconds=LEASE_SECONDS)
        for claim in claims:
            self.tell(told_claim(claim.fit_id, claim.fence, self.name))
        return claims

    def work_on(self, claim: Claim, mark: str) -> None:
        """Say all there is to say about a fit, up to one of three ends."""
        word = FitStarted(pid=os.getpid(), device_requested="cpu", device_used="cpu", log=mark)
        self.told(self.store.started(claim, word), "FitStarted", claim)
        for step in range(1, self.chance.randint(1, 3) + 1):
            progress = FitProgressed(step=step, steps_total=3)
            self.told(self.store.progressed(claim, progress), "FitProgressed", claim)
            saved = CheckpointSaved(step=step, path=mark, seconds=0.1)
            self.told(self.store.checkpointed(claim, saved), "CheckpointSaved", claim)
            self.store.renew(claim)
        end = self.chance.choices(("succeeded", "failed", "released"), (70, 15, 15))[0]
        if end == "failed":
            self.store.failed(claim, Failure(cause="library", sentence=mark, retryable=True))
        elif end == "released":
            self.told(self.store.released(claim, FitReleased(cause=mark)), "FitReleased", claim)
        else:
            seq = self.store.succeeded(claim, succeeded_word(self.name, claim.fence))
            self.told(seq, "FitSucceeded", claim)

    def told(self, seq: int, kind: str, claim: Claim) -> None:
        """Tell an acknowledged event."""
        self.tell(told_event(seq, kind, claim.fit_id))


@dataclass(slots=True)
class Crew:
    """Forked writers on one database and what they told; a writer's work is chosen by its number.

    `before` runs first in each new process, as to enter a network namespace.
    """

    url: str
    shared: Shared = field(default_factory=Shared)
    before: Callable[[], object] = field(default=lambda: None)
    store_type: type[PatientStore] = PatientStore
    database: Callable[[str], Database] = connect
    lines: list[str] = field(default_factory=list)
    pids: dict[int, int] = field(default_factory=dict)
    _pipe: tuple[int, int] = (-1, -1)
    _rest: bytes = b""

    def __post_init__(self) -> None:
        self._pipe = os.pipe()
        fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._pipe[0], False)

    def start(self, number: int) -> int:
        """Fork a writer and return its process id."""
        pid = os.fork()
        if pid == 0:
            try:
                die_with_parent()
                self.before()
                self._write(number)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the end of a child: it must not return into the test
                traceback.print_exc()
            finally:
                os._exit(1)
        self.pids[number] = pid
        return pid

    def _write(self, number: int) -> None:
        name = f"w-{number}-{os.getpid()}"
        store = self.store_type(self.database(self.url), tell=self.tell, policy=POLICY)
        writer = Writer(store, name, self.tell, seed=number)
        while not self.shared.stopped:
            writer.turn()

    def tell(self, line: bytes) -> None:
        """Write one line, which the reader gets whole (pipe(7))."""
        os.write(self._pipe[1], line)

    def read(self) -> int:
        """Take what was told since the last time, without waiting; returns the lines."""
        taken = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self._pipe[0], _PIPE_BYTES):
                taken += chunk
        whole, _, self._rest = (self._rest + taken).rpartition(b"\n")
        found = whole.decode().splitlines()
        self.lines += found
        return len(found)

    def mark(self) -> int:
        """Take what was told, and return the place up to which."""
        self.read()
        return len(self.lines)

    def await_told(self, wanted: int, kinds: str = "EKC", since: int | None = None) -> list[str]:
        """Wait until so many lines of some kinds are told since a mark, else from now on; return them all."""
        began = self.mark() if since is None else since
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum(line[0] in kinds for line in self.lines[began:]) < wanted:
            assert time.monotonic() < deadline, f"the writers told too little: {self.lines[began:][-3:]}"
            assert not self._fallen(), "a writer ended by itself"
            select.select([self._pipe[0]], [], [], 1.0)
            self.read()
        return self.lines[began:]

    def await_cut_off(self, wanted: int) -> None:
        """Wait until so many writers, no more and no less, are out of reach of their server."""

        def cut_off() -> bool:
            self.read()
            assert not self._fallen(), "a writer ended by itself"
            return len(self.told("O")) - len(self.told("B")) == wanted

        await_that(cut_off, f"moment at which {wanted} writers are cut off")

    def _fallen(self) -> bool:
        """Whether a writer that should run has ended; it is left to be reaped."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return any(os.waitid(os.P_PID, pid, flags) for pid in self.pids.values())

    def reap(self, number: int) -> int:
        """Wait for a writer's end and return its exit code, negative for a signal."""
        pid = self.pids.pop(number)
        status: list[int] = []

        def ended() -> bool:
            self.read()
            found, code = os.waitpid(pid, os.WNOHANG)
            status.append(code)
            return found == pid

        await_that(ended, "end of a writer")
        return os.waitstatus_to_exitcode(status[-1])

    def finish(self) -> None:
        """Let every writer end what it is at, and close the pipe; one that failed fails the test."""
        self.shared.stop()
        codes = [self.reap(number) for number in list(self.pids)]
        self.read()
        self.close()
        assert set(codes) <= {0}, f"writers ended with {codes}"

    def close(self) -> None:
        """Kill what still runs and close the pipe."""
        for pid in self.pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.pids.clear()
        for end in self._pipe:
            with suppress(OSError):
                os.close(end)

    def told(self, kind: str) -> list[str]:
        """The lines of a kind."""
        return [line for line in self.lines if line[0] == kind]


def judged(url: str, lines: list[str], *, ended: bool = True) -> Audit:
    """Drain what is left of a campaign, and judge its log against what was told; `ended`: all said all."""
    problems: list[str] = []
    with PlanStore(connect(url), policy=POLICY) as store:
        try:
            drain(store)
        except StoreError as error:
            problems.append(f"the drain ended by {type(error).__name__}: {error}")
        verdict = store.verify()
        open_fits = sum(fit.state in ("ready", "claimed", "running") for fit in store.reading.fits())
    with psycopg.connect(url, autocommit=True) as connection:
        found = audit_rows(connection.execute(_ROWS), [line for line in lines if line[0] in "EKC"])
        words = f"SELECT event_id FROM event WHERE kind IN {_WORD_KINDS} AND actor LIKE 'w-%'"
        recorded = {bytes(row[0]).hex() for row in connection.execute(words.encode())}
    said = {line.split()[1] for line in lines if line[0] == "W"}
    found.lost += len(said - recorded)
    if ended:
        found.doubles += len(recorded - said)  # nobody knows of them: a word that was recorded twice
    found.problems += [*problems, *verdict.problems]
    if open_fits:
        found.problems.append(f"{open_fits} fits never ended")
    return found


def counts_of(url: str, crew: Crew, found: Audit) -> dict[str, Any]:
    """The counts as a report has them, with the words and claims that were recorded though never told."""
    with psycopg.connect(url, autocommit=True) as connection:
        claims = "SELECT COUNT(*) FROM event WHERE kind = 'FitClaimed' AND actor LIKE 'w-%'"
        ((recorded,),) = connection.execute(claims.encode()).fetchall()
    return {
        "unanswered": len(crew.told("U")),
        "words_recorded_though_unanswered": len(crew.told("P")),
        "claims_recorded_though_unanswered": recorded - len(crew.told("C")),
        **found.counts(),
    }
