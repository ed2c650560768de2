"""Errors as people meet them: the sentence, the place, the fix, the next command, and the exit code.

This module knows the errors of all packages; it is loaded only when something has gone wrong.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from daemon.cli.screen import error_text, paint, tell
from daemon.errors import DaemonError
from executors.errors import ExecutorsError
from panel.errors import PanelError, UnknownColumn
from planner.errors import ConfigInvalid, NotInResults, PlannerError
from store.errors import (
    ConcurrentAppend,
    DatabaseUnavailable,
    DatabaseUnsafe,
    NotFound,
    PlanRejected,
    SchemaBehind,
    StoreError,
)

FIT_FAILED, USAGE, REJECTED, NOT_FOUND, UNREACHABLE, TRY_AGAIN, INTERRUPTED = 1, 2, 3, 4, 5, 75, 130
BASES = (PanelError, ExecutorsError, StoreError, PlannerError, DaemonError)

# The first class that fits decides; every other expected error is a rejection.
CODES: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, NOT_FOUND),
    (UnknownColumn, NOT_FOUND),
    (NotInResults, NOT_FOUND),
    (ConfigInvalid, USAGE),
    (SchemaBehind, USAGE),
    (DatabaseUnsafe, USAGE),
    (DatabaseUnavailable, TRY_AGAIN),
    (ConcurrentAppend, TRY_AGAIN),
)
LISTS = {
    "plan": "trainwright status",
    "fit": "trainwright jobs --all",
    "target, job or fit": "trainwright jobs --all",
    "target": "trainwright jobs --all",
    "host": "trainwright hosts ls --all",
}


def expected() -> tuple[type[Exception], ...]:
    """The errors that are answers to a person, not defects of ours."""
    return BASES


def exit_code(error: Exception) -> int:
    """The exit code of the contract for an expected error."""
    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own
    return next((code for kind, code in CODES if isinstance(error, kind)), REJECTED)


def show(error: Exception) -> None:
    """Print an expected error in at most six lines."""
    sentence, details = _told(error)
    _tell(error_text(sentence, details))


def _told(error: Exception) -> tuple[str, dict[str, str | None]]:
    """The sentence of an expected error, and its details by name."""
    if isinstance(error, PlanRejected):
        place = f"{error.source}: {error.place}" if error.place else error.source
        return f"plan rejected: {error.sentence}", {"where": place, "fix": error.fix}
    if isinstance(error, NotFound):
        near = f"did you mean {error.nearest}?" if error.nearest else None
        next_command = LISTS.get(error.noun, "trainwright status")
        if error.noun.startswith("feature of "):
            next_command = f"trainwright why {error.noun.removeprefix('feature of ')}"
        return f"no {error.noun} {error.name!r} in the event log", {"near": near, "next": next_command}
    if isinstance(error, DatabaseUnsafe):
        return error.sentence, {"where": error.url, "fix": error.fix}
    if isinstance(error, DatabaseUnavailable):
        kept = "everything acknowledged; the command may be repeated"
        sentence = f"the event log did not answer: {error.cause.splitlines()[0]}"
        return sentence, {"where": error.url, "kept": kept, "next": "trainwright doctor"}
    what, fix = getattr(error, "what", None), getattr(error, "fix", None)
    if not (what and fix):
        return str(error), {}
    where = getattr(error, "where", None) or getattr(error, "path", None)
    problem = getattr(error, "problem", None)
    return f"{what}: {problem}" if problem else str(what), {"where": str(where or ""), "fix": str(fix)}


def show_usage(error: click.ClickException) -> None:
    """Print a wrong call: what is wrong, and how the command is called."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "trainwright"
    _tell(error_text(error.format_message(), {"next": f"{path} --help"}))


def _tell(text: str) -> None:
    tell(paint("error:", "bad") + text.removeprefix("error:"))


def keep_traceback(lines: Sequence[str]) -> Path:
    """Write a traceback to a file of its own, readable by its owner alone, and return the file.

    A service has a folder for what stays; its temporary one is seen by nobody and ends with it.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    with tempfile.NamedTemporaryFile(
        "w",
        encoding="utf-8",
        prefix=f"trainwright-error-{stamp}-",
        suffix=".log",
        delete=False,
        dir=folder if folder and os.access(folder, os.W_OK) else None,
    ) as file:
        file.write("".join(lines))
    return Path(file.name)
