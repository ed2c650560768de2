"""``trainwright logs``: the log of an attempt at a fit, from its beginning, since a time, or as it grows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from daemon.cli.completing import fits
from daemon.cli.history import meant
from daemon.cli.screen import speakable, tell
from daemon.cli.workspace import reader_for, results_option
from daemon.errors import DaemonError
from daemon.views.attempt_logs import AttemptLog, NoAttemptLog, log_of
from daemon.views.waiting import Watch
from daemon.views.words import names_words
from store.errors import NotFound
from store.reading import Reader
from store.state import FINAL_STATES

FOLLOW_SECONDS = 0.3
STAMP_LENGTH = 20  # ``2026-01-02T03:04:05Z`` at the beginning of each line


class SeveralFits(DaemonError):
    """A job has more than one fit, and each has logs of its own."""

    exit_code = 4

    def __init__(self, job: str, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"{job} is a job of {len(self.names)} fits, and each has logs of its own",
            where=names_words(self.names),
            fix=f"trainwright logs {self.names[0]}",
        )


@click.command(epilog="Example: trainwright logs cs_y_range_5d/LightGBM --attempt 1 --since 10m")
@click.argument("name", shell_complete=fits)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on with what comes, over attempts, until the fit ends."
)
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt; default the newest.")
@click.option("--since", help="Only lines since a time (ISO 8601) or an age such as 10m, 2h, 1d.")
@results_option
def logs(name: str, *, follow: bool, attempt: int | None, since: str | None, **options: Path | None) -> None:
    """Print the log of an attempt at a fit, running, failed or finished alike."""
    earliest = meant(since, "--since")
    with reader_for(**options) as reader:
        name = _fit_meant(reader, name)
        if follow:
            for text in followed(reader, name, attempt, earliest, wait=lambda: time.sleep(FOLLOW_SECONDS)):
                _print(text)
        else:
            _print(Growing(log_of(reader, name, attempt).path).since(earliest))


def _fit_meant(reader: Reader, name: str) -> str:
    """The fit of a name; that of a job where it has only one. Raises NotFound, SeveralFits."""
    try:
        return reader.fit(name).id
    except NotFound:
        of_job = reader.fits(job=name)
        newest = [fit for fit in of_job if fit.plan_id == of_job[-1].plan_id]
        if not newest:
            raise
        if len(newest) > 1:
            raise SeveralFits(name, [fit.name for fit in newest]) from None
        return newest[0].id


@dataclass(slots=True)
class Growing:
    """A file that grows, read from where it was left."""

    path: Path
    position: int = 0

    def more(self) -> str:
        """What the file holds from there on."""
        if self.path.stat().st_size < self.position:  # it grew too long and was shortened
            self.position = self.path.stat().st_size
            return "... the log was shortened; what follows is its end ...\n"
        with self.path.open("rb") as log:
            log.seek(self.position)
            data = log.read()
        self.position += len(data)
        return data.decode(errors="replace")

    def since(self, earliest: datetime | None) -> str:
        """What the file holds by now, from the first line of that time or a later one on."""
        lines = self.more().splitlines(keepends=True)
        if earliest is None:
            return "".join(lines)
        first = next((place for place, line in enumerate(lines) if _is_since(line, earliest)), len(lines))
        return "".join(lines[first:])


def _is_since(line: str, earliest: datetime) -> bool:
    """Whether a line says a time that is not before another; lines of a traceback say none."""
    try:
        return datetime.fromisoformat(line[:STAMP_LENGTH]) >= earliest
    except (ValueError, TypeError):  # no time, or one without a zone
        return False


def followed(
    reader: Reader,
    name: str,
    attempt: int | None,
    earliest: datetime | None,
    *,
    wait: Callable[[], object],
) -> Iterator[str]:
    """Yield what the log holds and what comes, attempt after attempt, until the fit or the attempt has ended.

    A fit that has not begun is waited for.

    Raises:
        NoAttemptLog: nothing will come any more.
    """
    growing: Growing | None = None
    shown, waits = 0, ""
    while True:
        fit = reader.fit(name)
        found = _log_if_any(reader, name, attempt)
        if found is not None and found.attempt.attempt != shown:
            if shown:
                tell(f"attempt {found.attempt.attempt} of {fit.name}")
            growing, shown = Growing(found.path), found.attempt.attempt
            yield growing.since(earliest)
        elif growing is not None:
            yield growing.more()
        if fit.state in FINAL_STATES or (found and attempt is not None and found.attempt.ended_at):
            if growing is None:
                raise NoAttemptLog(fit.name, f"it has ended without a log: {fit.sentence or fit.state}")
            return
        if fit.state == "ready" and waits != (words := _why(reader, name)):
            waits = words
            tell(f"{fit.name} waits: {words}")
        wait()


def _log_if_any(reader: Reader, name: str, attempt: int | None) -> AttemptLog | None:
    try:
        return log_of(reader, name, attempt)
    except NoAttemptLog:
        return None


def _why(reader: Reader, name: str) -> str:
    reason = Watch(reader).reason(reader.fit(name))
    return reason.words if reason else "it is claimed in a moment"


def _print(text: str) -> None:
    click.echo(speakable(text, sys.stdout), nl=False)
