"""The daemon's sign of life in a file, for whoever comes after it: seen when last, and its last words.

The log knows when a fit's lease was renewed; of a daemon without work, and of one whose log did not answer
any more, only this file tells. It is a hint for people: nothing is decided by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store.host_events import UNSEEN, LastSigns
from store.moments import iso_utc, parsed_utc

SIGN_SECONDS = 5.0  # a lost machine was seen that long ago, and a while more for its disk
WORDS_MAX = 500


class Signs:
    """Writes the sign of life of one worker; a disk that takes no more is passed over."""

    def __init__(self, path: Path, worker: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._worker, self._clock = path, worker, clock
        self._descriptor = -1
        self._write_at = float("-inf")
        self._words = ""

    def turn(self) -> None:
        """Write it when it is time to."""
        if self._clock() >= self._write_at:
            self._write_at = self._clock() + SIGN_SECONDS
            self._write()

    def last_words(self, words: str) -> None:
        """Leave word of an end that the log may never hear of."""
        self._words = words[:WORDS_MAX]
        self._write()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _write(self) -> None:
        seen_at = iso_utc(datetime.now(UTC))
        text = json.dumps({"worker": self._worker, "seen_at": seen_at, "words": self._words}) + "\n"
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, 0o644)
            os.pwrite(self._descriptor, text.encode(), 0)
            os.ftruncate(self._descriptor, len(text.encode()))


def read_signs(path: Path, worker: str | None) -> LastSigns:
    """Return what a file tells of a worker; nothing where it is missing, torn, or another's."""
    try:
        said: Any = json.loads(path.read_bytes())
        if worker is None or said["worker"] != worker:
            return UNSEEN
        return LastSigns(seen_at=parsed_utc(said["seen_at"]), words=str(said["words"]))
    except (OSError, ValueError, KeyError, TypeError):
        return UNSEEN
