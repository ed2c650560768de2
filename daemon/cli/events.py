"""``trainwright events``: the event log itself, line by line."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from daemon.cli.completing import kinds as kind_names
from daemon.cli.completing import plans
from daemon.cli.history import meant
from daemon.cli.screen import emit_line, say
from daemon.cli.workspace import json_option, reader_for, results_option
from daemon.views.words import moment
from store.events import EVENT_TYPES
from store.reading import Reader
from store.records import EventRow

FOLLOW_SECONDS = 0.3
PAGE = 1000


@click.command(epilog="Example: trainwright events --since 10m --json")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events until interrupted.")
@click.option("--since", help="A time (ISO 8601) or an age such as 10m, 2h, 1d.")
@click.option("--until", help="A time or an age: only events up to then.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events behind this seq.")
@click.option("--plan", "plan_id", shell_complete=plans, help="Only events of this plan.")
@click.option("--kind", "kinds", multiple=True, shell_complete=kind_names, help="Only this kind of event.")
@results_option
@json_option
def events(
    *,
    follow: bool,
    since: str | None,
    until: str | None,
    after: int,
    plan_id: str | None,
    kinds: tuple[str, ...],
    as_json: bool,
    **options: Path | None,
) -> None:
    """Print the event log itself, one line per event; NDJSON with --json."""
    earliest, latest = meant(since, "--since"), meant(until, "--until")
    if follow and latest is not None:
        raise click.UsageError("--follow goes on without an end and --until names one: give one of them")
    _check_kinds(kinds)
    with reader_for(**options) as reader:
        if plan_id is not None:
            reader.plan_row(plan_id)
        if earliest is not None:
            after = max(after, _seq_before(reader, earliest))
        last = None if latest is None else _seq_before(reader, latest + timedelta(microseconds=1))
        while True:
            page = reader.events(after=after, limit=PAGE, plan=plan_id, kinds=kinds or None)
            for event in page:
                if last is not None and event.seq > last:
                    return
                _print_event(event, as_json=as_json)
            after = page[-1].seq if page else after
            if len(page) == PAGE:
                continue
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)


def _check_kinds(kinds: Sequence[str]) -> None:
    """Refuse a kind that no event has; raises click.BadParameter naming the nearest."""
    known = [event.kind for event in EVENT_TYPES]
    for kind in kinds:
        if kind not in known:
            near = difflib.get_close_matches(kind, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}"
            raise click.BadParameter(f"there is no event {kind!r}; {hint}", param_hint="--kind")


def _seq_before(reader: Reader, earliest: datetime) -> int:
    """The seq of the last event before a time, found in few questions: the log is in the order of time."""
    low, high = 0, reader.head_seq()
    while low < high:
        middle = (low + high) // 2
        if reader.events(after=middle, limit=1)[0].at < earliest:
            low = middle + 1
        else:
            high = middle
    return low


def _print_event(event: EventRow, *, as_json: bool) -> None:
    if as_json:
        emit_line(event.to_json())
        return
    about = event.job or event.fit or event.plan or event.stream
    attempt = f" attempt {event.attempt}" if event.attempt else ""
    words = ", ".join(f"{key}={_short(value)}" for key, value in event.data.items() if _is_short(value))
    say(f"{event.seq:>6}  {moment(event.at)}  {event.kind:<16} {about}{attempt}  {words}")


def _is_short(value: object) -> bool:
    return isinstance(value, (str, int, float)) and len(str(value)) <= 120


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
