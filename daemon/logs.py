"""Logging, set up in one place: one line per fact, for the journal, a file, or a person at a terminal.

Under the journal a line is handed over natively, each of its keys a field, and is the same JSON as elsewhere;
where that way is closed it goes to the stream with its priority in front.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from daemon.about_fits import name_the_fit
from daemon.journal import Journal, field_name

IDENTIFIER = "trainwright"  # SYSLOG_IDENTIFIER: journalctl -t trainwright
FIRST = ("at", "level", "event", "plan", "job", "fit", "attempt")  # keys of a line, in this order
OTHERS_LEVEL = logging.WARNING  # from which on the lines of libraries are ours too

# syslog(3) priorities, which the journal takes from a line's beginning (sd-daemon(3))
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2, "exception": 3}

_LEVELS = (logging.WARNING, logging.ERROR, logging.CRITICAL)  # a library may have others between them

Line = MutableMapping[str, Any]


def configure_logs(
    stream: TextIO = sys.stderr, environ: Mapping[str, str] = os.environ, *, journal: Journal | None = None
) -> None:
    """Write log lines to `stream`, or to the journal that stands behind it.

    JSON and the fields of each line under the journal; words in columns on a terminal; JSON elsewhere.
    """
    if is_journal(stream, environ):
        _configure(stream, [_without_time, _for_journal], journal=journal or Journal())
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


def take_in_other_logs() -> None:
    """Let what libraries warn of, and what ends a thread, be lines of ours: nothing is said past the log."""
    if not any(isinstance(known, _Forwarding) for known in logging.root.handlers):
        logging.root.addHandler(_Forwarding(OTHERS_LEVEL))
    logging.captureWarnings(True)  # noqa: FBT003 (the standard library's own)
    threading.excepthook = _thread_ended


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the one systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _configure(stream: TextIO, endings: list[Any], *, journal: Journal | None = None) -> None:
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    lossy = cast(TextIO, _Lossy(stream))
    printing = structlog.PrintLoggerFactory(lossy)
    structlog.configure(
        processors=[
            name_the_fit,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _in_order,
            *endings,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=printing if journal is None else lambda *_names: _JournalLogger(journal, lossy),
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


class _JournalLogger:
    """The last step of a line under the journal; to structlog it is a logger of the simplest kind."""

    def __init__(self, journal: Journal, stream: TextIO) -> None:
        self._journal, self._stream = journal, stream

    def msg(self, fields: dict[str, str]) -> None:
        """Hand over a line, by the stream where the journal does not take it."""
        if not self._journal.write(fields):
            self._stream.write(f"<{fields['PRIORITY']}>{fields['MESSAGE']}\n")
            self._stream.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _Forwarding(logging.Handler):
    """Takes the lines of the standard library's loggers into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a library's line in our way; one whose words and values do not match, without the values."""
        try:
            words = record.getMessage()
        except (TypeError, ValueError):
            words = str(record.msg)
        level = max((known for known in _LEVELS if known <= record.levelno), default=logging.WARNING)
        line = structlog.get_logger(record.name)
        line.log(level, words, library=record.name, exc_info=record.exc_info)


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or issubclass(ended.exc_type, SystemExit):
        return
    trace = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    name = ended.thread.name if ended.thread is not None else "unknown"
    structlog.get_logger("threads").critical("a thread ended by an error", thread=name, exc_info=trace)


def _close(stream: TextIO) -> None:
    with suppress(OSError):
        stream.close()


def _in_order(_logger: object, _method: str, line: Line) -> Line:
    """Return a line with when, what and about what at its beginning: people read it too."""
    return {key: line[key] for key in FIRST if key in line} | {
        key: value for key, value in line.items() if key not in FIRST
    }


def _without_time(_logger: object, _method: str, line: Line) -> Line:
    line.pop("at", None)  # the journal has its own
    return line


def _for_journal(_logger: object, method: str, line: Line) -> tuple[tuple[dict[str, str]], dict[str, Any]]:
    """Return the fields of a line: the whole as JSON, what journalctl shows, and each key by itself."""
    fields = {field_name(key): _text(value) for key, value in line.items() if value is not None}
    fields |= {
        "MESSAGE": json.dumps(line, default=repr),
        "PRIORITY": str(_PRIORITIES.get(method, 6)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
    }
    return (fields,), {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)
