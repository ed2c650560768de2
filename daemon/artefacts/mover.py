"""Moves artefacts in a process of its own, so that neither the loop nor a fit ever waits for a network.

What could not be moved is asked again, for as long as whoever asked wants it. A place that is away costs one
question now and then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import structlog

from daemon.artefacts.liveness import Liveness
from daemon.artefacts.moves import PING, Move
from executors.lives import OwnProcess, is_readable

UNDER_WAY_MAX = 8  # their lines and a ping together must fit into the pipe
NO_MOVE = 0  # the number of a ping
START_SECONDS, START_SECONDS_MAX = 1.0, 30.0  # between two starts of the process
SAY_AGAIN_SECONDS = 300.0
END_SECONDS = 3.0  # for what is under way when the host stops

log = structlog.get_logger("artefacts")
Start = Callable[[Sequence[str]], subprocess.Popen[bytes]]


class Mover:
    """The moves of one host. `hear` is called again and again from the loop, and never waits."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        start: Start | None = None,
    ) -> None:
        self.address = url
        self._place = {"url": url, "options": dict(options)}
        self._clock, self._begin = clock, start or _started
        self._moves: dict[int, Move] = {}  # not settled yet
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._life: OwnProcess | None = None
        self._heard = b""
        self.liveness = Liveness(clock)
        self._start_at, self._wait_seconds = float("-inf"), START_SECONDS
        self._trouble: str | None = None
        self._told_at = float("-inf")

    @property
    def trouble(self) -> str | None:
        """Why the place does not answer for now, in words; None when all is well."""
        return None if self._trouble is None else f"the place of artefacts is away: {self._trouble}"

    @property
    def waiting(self) -> int:
        """How many moves are not settled."""
        return len(self._moves)

    @property
    def pid(self) -> int | None:
        """The number of the process, None while there is none."""
        return None if self._life is None else self._life.pid

    def start(self) -> None:
        """Start the process ahead of the first move: its libraries take a second."""
        if self._life is None:
            self._start()

    def ask(self, do: str, key: str, path: Path, **more: Any) -> Move:  # noqa: ANN401 (fields of Move)
        """Ask for a move; its outcome is known some time after."""
        self._count += 1
        move = Move(number=self._count, do=do, key=key, path=path, **more)
        self._moves[move.number] = move
        self.hear()
        return move

    def drop(self, move: Move) -> None:
        """Want a move no more; one that is under way may be done all the same."""
        self._moves.pop(move.number, None)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to hear; -1 for none."""
        return -1 if self._life is None else self._output.fileno()

    def hear(self) -> None:
        """Take the answers that came, note the process's end, and ask for what is due."""
        if self._life is not None:
            self._take_answers()
            self._see_whether_it_is_there()
            if (code := self._life.code()) is not None:
                self._take_answers()
                self._note_end(code)
        due = self._due()
        if due and self._life is None and self._clock() >= self._start_at:
            self._start()
        if self._life is not None:
            for move in due:
                self._send(move)

    def finish(self, seconds: float = END_SECONDS) -> None:
        """Let what is under way come to its end, for a moment at most."""
        deadline = time.monotonic() + seconds
        while self._life is not None and self._moves and self._trouble is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            is_readable(self.fileno(), min(left, 0.2))
            self.hear()

    def close(self) -> None:
        """End the process; what was asked for is forgotten."""
        self._moves.clear()
        if self._life is not None:
            self._life.kill()
            self._life.awaited(END_SECONDS)
            self._let_go()

    @property
    def _output(self) -> IO[bytes]:
        if self._process is None or self._process.stdout is None:
            raise ValueError("there is no process")
        return self._process.stdout

    def _due(self) -> list[Move]:
        """Return what is to be asked now; of a place that is away one thing, to see whether it is back."""
        under_way = sum(move.is_under_way for move in self._moves.values())
        room = (1 if self._trouble else UNDER_WAY_MAX) - under_way
        now = self._clock()
        due = [move for move in self._moves.values() if not move.is_under_way and now >= move.again_at]
        return sorted(due, key=lambda move: (not move.is_urgent, move.number))[: max(0, room)]

    def _see_whether_it_is_there(self) -> None:
        """Ask a process that is silent over its work for an answer; end one that gives none."""
        has_work = any(move.is_under_way for move in self._moves.values())
        if self.liveness.turn(has_work=has_work):
            self._write({"number": NO_MOVE, "do": PING})
        if self.liveness.is_frozen and self._life is not None:
            log.error("the process that moves artefacts stands still, and is ended", pid=self._life.pid)
            self._life.kill()
            self._life.awaited(END_SECONDS)

    def _start(self) -> None:
        words = [sys.executable, "-P", "-m", "daemon.artefacts.process", str(os.getpid())]
        try:
            process = self._begin(words)
        except OSError as error:
            self._wait(f"its process could not be started: {error}")
            return
        self._process, self._life, self._heard = process, OwnProcess(process), b""
        self.liveness.began()
        os.set_blocking(self._output.fileno(), False)
        self._write(self._place)

    def _send(self, move: Move) -> None:
        move.is_under_way = True
        self._write(move.asked)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # its end is noted at the next turn
                self._process.stdin.write(json.dumps(line).encode() + b"\n")
                self._process.stdin.flush()

    def _take_answers(self) -> None:
        while is_readable(self._output.fileno()) and (data := self._output.read()):
            self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            answer = json.loads(line)
            self.liveness.heard()
            if answer["number"] == NO_MOVE:
                continue
            move = self._moves.get(answer["number"])
            self._note_answer(move, answer["outcome"], answer["words"])

    def _note_answer(self, move: Move | None, outcome: str, words: str) -> None:
        self._wait_seconds = START_SECONDS
        if outcome != "away":
            if self._trouble is not None:
                log.info("the place of artefacts answers again", place=self.address)
            self._trouble = None
        else:
            self._note_trouble(words)
        if move is not None and move.answered(outcome, words, self._clock()):
            del self._moves[move.number]

    def _note_trouble(self, words: str) -> None:
        """Remember why the place is away; the log says it when it begins, and now and then."""
        if self._trouble is None or self._clock() >= self._told_at + SAY_AGAIN_SECONDS:
            self._told_at = self._clock()
            log.warning("the place of artefacts does not answer; fits go on", place=self.address, cause=words)
        self._trouble = words

    def _note_end(self, code: int) -> None:
        self._let_go()
        for move in list(self._moves.values()):
            if move.is_under_way and move.cut_off(self._clock()):
                log.error("an artefact is not moved", key=move.key, cause=move.words)
                del self._moves[move.number]
        self._wait(f"its process ended with {code}")

    def _wait(self, cause: str) -> None:
        log.warning("no artefacts are moved for now", cause=cause, again_seconds=self._wait_seconds)
        self._start_at = self._clock() + self._wait_seconds
        self._wait_seconds = min(START_SECONDS_MAX, 2 * self._wait_seconds)

    def _let_go(self) -> None:
        for stream in (self._process.stdin, self._process.stdout) if self._process is not None else ():
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process = self._life = None


def _started(words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
