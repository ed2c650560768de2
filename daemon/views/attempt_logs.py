"""The log of an attempt at a fit: which file it is, and its end without reading the whole of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from daemon.elsewhere import log_place
from daemon.errors import DaemonError
from store.reading import Reader
from store.records import AttemptRow, FitRow

TAIL_LINES, TAIL_BYTES = 200, 64 * 1024
_BLOCK = 16 * 1024


class NoAttemptLog(DaemonError):
    """The fit has not been tried, or its log was removed."""

    exit_code = 4

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}", fix=f"see its attempts: trainwright job {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLog:
    """The log of one attempt; `attempts` are all tries at the fit, oldest first."""

    path: Path
    fit: FitRow
    attempt: AttemptRow
    attempts: tuple[AttemptRow, ...]


def log_of(reader: Reader, name: str, attempt: int | None = None) -> AttemptLog:
    """Return the log of an attempt, of the newest one that began where none is named.

    Raises:
        NotFound: there is no such fit.
        NoAttemptLog: there is no such attempt, it has no log, or the file is gone.
    """
    fit = reader.fit(name)
    attempts = reader.attempts(fit.id)
    meant = [one for one in attempts if attempt in (None, one.attempt)]
    found = [one for one in meant if one.log]
    if not found:
        if attempt is not None and not meant:
            count = f"it has {len(attempts)}" if attempts else "it was not started yet"
            raise NoAttemptLog(fit.name, f"there is no attempt {attempt}, {count}")
        what = "not started yet" if not meant else "the attempt ended before its training began"
        raise NoAttemptLog(fit.name, what)
    try:
        path = log_place(fit, found[-1])
    except DaemonError as error:
        raise NoAttemptLog(fit.name, f"its log is on another host ({found[-1].log}): {error}") from error
    if not path.is_file():
        raise NoAttemptLog(fit.name, f"its log {path} is gone")
    return AttemptLog(path=path, fit=fit, attempt=found[-1], attempts=attempts)


def tail(path: Path, *, lines: int = TAIL_LINES, bytes_max: int = TAIL_BYTES) -> str:
    """Return the last lines of a file, however long it is; bytes that are no UTF-8 are replaced.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as log:
        position = log.seek(0, os.SEEK_END)
        found = b""
        while position > 0 and len(found) < bytes_max and found[:-1].count(b"\n") < lines:
            step = min(_BLOCK, position, bytes_max - len(found))
            position -= step
            log.seek(position)
            found = log.read(step) + found
    whole = found.split(b"\n") if position == 0 else found.split(b"\n")[1:] or [found]
    ended = whole[-1:] == [b""]
    kept = whole[-lines - 1 :] if ended else whole[-lines:]
    return b"\n".join(kept).decode(errors="replace")
