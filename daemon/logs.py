"""Logging, set up in one place: one line per fact, for the journal, a file, or a person at a terminal."""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

# syslog(3) priorities, which the journal takes from a line's beginning (sd-daemon(3))
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2, "exception": 3}

Line = MutableMapping[str, Any]


def configure_logs(stream: TextIO = sys.stderr, environ: Mapping[str, str] = os.environ) -> None:
    """Write log lines to `stream`.

    JSON with the priority in front under the journal; words in columns on a terminal; JSON elsewhere.
    """
    if is_journal(stream, environ):
        _configure(stream, [_without_time, structlog.processors.JSONRenderer(), _with_priority])
    elif stream.isatty():
        _configure(stream, [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in environ)])
    else:
        _configure(stream, [structlog.processors.JSONRenderer()])


def log_to_file(path: Path) -> None:
    """Append JSON log lines to a file, unless logging is set up already."""
    if structlog.is_configured():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a", encoding="utf-8", buffering=1)
    atexit.register(_close, stream)
    _configure(stream, [structlog.processors.JSONRenderer()])


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the one systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _configure(stream: TextIO, endings: list[Any]) -> None:
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            *endings,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy(stream))),
        cache_logger_on_first_use=False,
    )


class _Lossy(io.TextIOBase):
    """A stream that loses what cannot be written: a full disk or a closed pipe stops no training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what can be handed on."""
        with suppress(OSError):
            self._stream.flush()


def _close(stream: TextIO) -> None:
    with suppress(OSError):
        stream.close()


def _without_time(_logger: object, _method: str, line: Line) -> Line:
    line.pop("at", None)  # the journal has its own
    return line


def _with_priority(_logger: object, method: str, text: str) -> str:
    return f"<{_PRIORITIES.get(method, 6)}>{text}"
