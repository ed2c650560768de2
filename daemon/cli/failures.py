"""Errors as people meet them: the sentence, the place, the fix, the next command, and the exit code."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from daemon.cli.screen import error_text, tell
from daemon.errors import DaemonError
from executors.errors import BundleDamaged, ExecutorsError
from panel.errors import PanelError, UnknownColumn, UnknownSymbol
from planner.errors import ConfigInvalid, PlannerError, RequestInvalid
from store.errors import NotFound, PlanRejected, StoreError

FIT_FAILED, USAGE, REJECTED, NOT_FOUND, UNREACHABLE, TRY_AGAIN, INTERRUPTED = 1, 2, 3, 4, 5, 75, 130
BASES = (PanelError, ExecutorsError, StoreError, PlannerError, DaemonError)

# The first class that fits decides; the bases come last.
CODES: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, NOT_FOUND),
    (UnknownColumn, NOT_FOUND),
    (UnknownSymbol, REJECTED),
    (PlanRejected, REJECTED),
    (ConfigInvalid, USAGE),
    (RequestInvalid, REJECTED),
    (BundleDamaged, REJECTED),
    (PanelError, REJECTED),
    (PlannerError, REJECTED),
    (StoreError, REJECTED),
    (ExecutorsError, REJECTED),
)


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
    what = getattr(error, "what", None) if getattr(error, "fix", None) else None
    if what is None:
        tell(error_text(str(error), {}))
        return
    where = getattr(error, "where", None) or getattr(error, "place", None) or getattr(error, "path", None)
    problem = getattr(error, "problem", None)
    sentence = f"{what}: {problem}" if problem else str(what)
    tell(error_text(sentence, {"where": str(where) if where else None, "fix": getattr(error, "fix", None)}))


def show_usage(error: click.ClickException) -> None:
    """Print a wrong call: what is wrong, and how the command is called."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "trainwright"
    tell(error_text(error.format_message(), {"next": f"{path} --help"}))


def keep_traceback(lines: Sequence[str]) -> Path:
    """Write a traceback to a file of its own and return the file."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = Path(tempfile.gettempdir()) / f"trainwright-error-{stamp}.log"
    path.write_text("".join(lines), encoding="utf-8")
    return path
