"""``trainwright logs`` and ``trainwright events``: what was written while it happened."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from daemon.cli.screen import emit_line, iso, say, speakable
from daemon.cli.workspace import json_option, reader_for, results_option, settings_for
from daemon.errors import DaemonError
from store.reading import Reader
from store.records import EventRow

FOLLOW_SECONDS = 0.3
PAGE = 1000
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NoAttemptLog(DaemonError):
    """The fit has not been tried, or its log was removed."""

    exit_code = 4

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}", fix=f"see its attempts: trainwright job {name}")


@click.command(epilog="Example: trainwright logs cs_y_range_5d/LightGBM --attempt 1")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt has ended.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt; default the newest.")
@results_option
def logs(name: str, *, follow: bool, attempt: int | None, **options: Path | None) -> None:
    """Print the log of an attempt at a fit."""
    with reader_for(settings_for(**options)) as reader:
        fit = reader.fit(name)
        path = _log_of(reader, fit.id, fit.name, attempt)
        position = _print_from(path, 0)
        while follow and reader.fit(fit.id).state in ("claimed", "running"):
            time.sleep(FOLLOW_SECONDS)
            position = _print_from(path, position)
        _print_from(path, position)


def _log_of(reader: Reader, fit_id: str, name: str, attempt: int | None) -> Path:
    tries = [one for one in reader.attempts(fit_id) if attempt in (None, one.attempt)]
    found = [one.log for one in tries if one.log]
    if not found:
        what = "not started yet" if not tries else "the attempt ended before its training began"
        raise NoAttemptLog(name, what if attempt is None or tries else f"there is no attempt {attempt}")
    path = Path(found[-1])
    if not path.exists():
        raise NoAttemptLog(name, f"its log {path} is gone")
    return path


def _print_from(path: Path, position: int) -> int:
    """Print what the file holds from a byte on, and return where it ends."""
    import sys  # noqa: PLC0415

    with path.open("rb") as log:
        log.seek(position)
        data = log.read()
    click.echo(speakable(data.decode(errors="replace"), sys.stdout), nl=False)
    return position + len(data)


@click.command(epilog="Example: trainwright events --since 10m --json")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events until interrupted.")
@click.option("--since", help="A time (ISO 8601) or an age such as 10m, 2h, 1d.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events behind this seq.")
@click.option("--plan", "plan_id", help="Only events of this plan.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind of event.")
@results_option
@json_option
def events(
    *,
    follow: bool,
    since: str | None,
    after: int,
    plan_id: str | None,
    kinds: tuple[str, ...],
    as_json: bool,
    **options: Path | None,
) -> None:
    """Print the event log itself, one line per event; NDJSON with --json."""
    earliest = _moment(since)
    with reader_for(settings_for(**options)) as reader:
        while True:
            page = reader.events(after=after, limit=PAGE, plan=plan_id, kinds=kinds or None)
            for event in page:
                if earliest is None or event.at >= earliest:
                    _print_event(event, as_json=as_json)
            after = page[-1].seq if page else after
            if len(page) == PAGE:
                continue
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)


def _moment(since: str | None) -> datetime | None:
    """The moment that ``--since`` means.

    Raises:
        click.BadParameter: neither a time nor an age.
    """
    if since is None:
        return None
    if since[-1:] in UNITS and since[:-1].isdigit():
        return datetime.now(UTC) - timedelta(**{UNITS[since[-1]]: int(since[:-1])})
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise click.BadParameter(
            f"{since!r} is neither a time nor an age such as 10m", param_hint="--since"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_event(event: EventRow, *, as_json: bool) -> None:
    if as_json:
        emit_line(event.to_json())
        return
    about = event.fit or event.plan or event.stream
    attempt = f" attempt {event.attempt}" if event.attempt else ""
    words = ", ".join(f"{key}={_short(value)}" for key, value in event.data.items() if _is_short(value))
    say(f"{event.seq:>6}  {iso(event.at)}  {event.kind:<16} {event.job or about}{attempt}  {words}")


def _is_short(value: object) -> bool:
    return isinstance(value, (str, int, float)) and len(str(value)) <= 120


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
