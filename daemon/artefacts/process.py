"""The process that moves artefacts for a host and dies with it: ``python -m daemon.artefacts.process PID``.

It is told line by line what to do and says line by line what came of it. It knows the place and its
credentials, and nothing of the event log; fits know neither. What it did not expect ends it: the host starts
it anew and asks again.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from daemon.artefacts import moves
from daemon.artefacts.errors import Absent, ArtefactsError, Away, Damaged
from daemon.artefacts.keys import checkpoint_key, state_path
from daemon.artefacts.opening import opened
from daemon.artefacts.sets import Artefacts
from executors.confinement import die_with_parent

AT_ONCE = 4
PANELS = "panels/"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def moved(artefacts: Artefacts, asked: Mapping[str, Any]) -> tuple[str, str]:
    """Do what was asked; return the outcome and, where it is not what was hoped for, why."""
    try:
        return moves.DONE, _do(artefacts, asked)
    except Away as error:
        return moves.AWAY, str(error)
    except Absent as error:
        return moves.ABSENT, str(error)
    except Damaged as error:
        return moves.DAMAGED, str(error)
    except OSError as error:
        return moves.FULL if error.errno in _FULL else moves.REFUSED, str(error)


def _do(artefacts: Artefacts, asked: Mapping[str, Any]) -> str:
    key, path = str(asked["key"]), Path(asked["path"])
    match asked["do"]:
        case moves.PUT:
            artefacts.put(key, path)
            _tidy(artefacts, asked["instead_of"])
        case moves.GET:
            _get(artefacts, key, path)
        case moves.PUT_FILE:
            artefacts.put_file(key, path)
        case moves.REMOVE:
            artefacts.remove(key)
        case moves.RESUME:
            return _resumed(artefacts, key, path, int(asked["fence"]))
        case moves.FITS:
            artefacts.sweep()
            found = {tuple(name.split("/")[1:3]) for name in artefacts.beneath(key)}
            return " ".join("/".join(one) for one in sorted(found) if len(one) == 2)
    return ""


def _get(artefacts: Artefacts, key: str, path: Path) -> None:
    """Fetch an artefact; panels are large, so that a machine fetches one only once."""
    if not key.startswith(PANELS):
        artefacts.get(key, path)
        return
    try:
        artefacts.get_once(key, path)
    except Damaged:
        artefacts.retract(key)  # hosts that have it put it there anew
        raise


def _tidy(artefacts: Artefacts, keys: list[str]) -> None:
    """Remove what is not needed any more; what stays now goes with the rest when the fit has ended."""
    with suppress(Away):
        for key in keys:
            artefacts.remove(key)


def _resumed(artefacts: Artefacts, prefix: str, root: Path, fence: int) -> str:
    """Bring the furthest sound state of a fit here, where there is one; return what was wrong with others."""
    _, plan, fit = prefix.split("/")
    problems = []
    for of_fence, step in artefacts.states(plan, fit):
        into = root / state_path(of_fence, step)
        if of_fence > fence:
            continue
        try:
            if not into.is_dir():
                artefacts.get(checkpoint_key(plan, fit, of_fence, step), into)
            break
        except (Absent, Damaged) as error:
            problems.append(str(error))
    return "; ".join(problems)


class Carrier:
    """Does what it is told in a few threads, each with a connection of its own."""

    def __init__(self, url: str, options: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self._url, self._options, self._say = url, options, say
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def begin(self) -> None:
        """Load what speaks to the place; whether that can be is said with the first answer."""
        self._threads.submit(self._try).add_done_callback(_end_on_surprise)

    def take(self, asked: Mapping[str, Any]) -> None:
        """Begin with something; the answer is said when it is known."""
        self._threads.submit(self._carry, asked).add_done_callback(_end_on_surprise)

    def _try(self) -> None:
        with suppress(ArtefactsError):
            self._artefacts()

    def _carry(self, asked: Mapping[str, Any]) -> None:
        try:
            outcome, words = moved(self._artefacts(), asked)
        except ArtefactsError as error:  # the place cannot be spoken to at all
            outcome, words = moves.AWAY, str(error)
        self._say({"number": asked["number"], "outcome": outcome, "words": " ".join(words.split())})

    def _artefacts(self) -> Artefacts:
        if not hasattr(self._own, "artefacts"):
            self._own.artefacts = opened(self._url, self._options)
        found: Artefacts = self._own.artefacts
        return found


def _end_on_surprise(future: Future[None]) -> None:
    surprise = future.exception()
    if surprise is not None:
        traceback.print_exception(surprise)
        sys.stderr.flush()
        os._exit(1)


def carry(parent: int) -> None:
    """Do what the lines of standard input say until it ends."""
    die_with_parent(parent)
    lock, answers = threading.Lock(), os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def say(answer: dict[str, Any]) -> None:
        with lock:
            answers.write(f"{json.dumps(answer)}\n")
            answers.flush()

    place = json.loads(sys.stdin.readline() or "{}")
    if not place:
        return
    carrier = Carrier(place["url"], place["options"], say)
    carrier.begin()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == moves.PING:
            say({"number": asked["number"], "outcome": moves.DONE, "words": ""})
        else:
            carrier.take(asked)


if __name__ == "__main__":
    carry(int(sys.argv[1]))
    os._exit(0)  # nobody waits for what is under way
