"""``trainwright status --watch``: the overview again when the log has grown; plain lines off a terminal."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from daemon.cli.screen import is_coloured, line_for, paint, say
from daemon.views.fits import step_words
from daemon.views.overview import Overview, look
from daemon.views.words import counts_words, moment
from store.errors import DatabaseUnavailable
from store.reading import Reader

LOOK_SECONDS = 1.0  # between two questions for the end of the log
CLOCK_SECONDS = 5.0  # the times on the screen go on though nothing happens
PLAIN_SECONDS = 10.0
RUNNING_SHOWN = 2
Lines = Callable[[Overview], Iterable[str]]
Wait = Callable[[float], bool]  # waits so many seconds; whether somebody wants to end it


def watch(reader: Reader, *, lines: Lines) -> None:
    """Show the overview until q is pressed or Ctrl-C; raises KeyboardInterrupt."""
    if not sys.stdout.isatty():
        watch_plainly(reader, wait=_sleep)
        return
    console = Console(no_color=not is_coloured(sys.stdout), highlight=False, markup=False, emoji=False)
    told: Sequence[str] = ()
    with _keys() as wait, Live(console=console, auto_refresh=False, screen=True) as live:
        for told in looks(reader, lines, wait):
            live.update(_fitting(told, console), refresh=True)
    for line in told:
        say(line)


def watch_plainly(reader: Reader, *, wait: Wait) -> None:
    """Print a line for each open plan every few seconds until `wait` says so."""
    while True:
        for line in _told_or_why(lambda: plain_lines(look(reader))):
            say(line)
        sys.stdout.flush()
        if wait(PLAIN_SECONDS):
            return


def plain_lines(found: Overview) -> list[str]:
    """Each open plan in one line with the moment, for logs and pipes."""
    now = moment(found.watch.now)
    lines, idle = [], _idle(found)
    for plan in (one for one in found.plans if one.open):
        counts = counts_words(
            succeeded=plan.succeeded,
            failed=plan.failed,
            unavailable=plan.unavailable,
            cancelled=plan.cancelled,
            still_open=plan.open,
        )
        left = found.left.get(plan.id)
        rest = f", {left.words} left" if left is not None and left.seconds is not None else ""
        at_work = (fit for fit in found.running if fit.plan_id == plan.id)
        running = [fit for fit in at_work if found.watch.abandoned(fit) is None]
        names = ", ".join(f"{fit.name} {step_words(fit)}" for fit in running[:RUNNING_SHOWN])
        more = f" and {len(running) - RUNNING_SHOWN} more" if len(running) > RUNNING_SHOWN else ""
        lines.append(f"{now}  {plan.id}  {counts}{rest}{f'  running {names}{more}' if names else idle}")
    return lines or [f"{now}  nothing is left to do"]


def _idle(found: Overview) -> str:
    """Why nothing runs, where something waits: who reads only these lines shall not wait in vain."""
    reasons = found.watch.groups(found.plans)
    return f"  {reasons[0].code}: {reasons[0].words}" if reasons else ""


def looks(reader: Reader, lines: Lines, wait: Wait) -> Iterator[Sequence[str]]:
    """Yield what is to be shown whenever the log has grown, and for its times now and then."""
    seq, shown_at = -1, float("-inf")
    while True:
        head = _head(reader)
        if head != seq or time.monotonic() - shown_at >= CLOCK_SECONDS:
            yield _told_or_why(lambda: list(lines(look(reader))))
            seq, shown_at = head, time.monotonic()
        if wait(LOOK_SECONDS):
            return


def _head(reader: Reader) -> int:
    try:
        return reader.head_seq()
    except DatabaseUnavailable:
        return -1


def _told_or_why(tell: Callable[[], Sequence[str]]) -> Sequence[str]:
    """What is told, or why the log cannot be asked now; it is asked again."""
    try:
        return tell()
    except DatabaseUnavailable as error:
        return [f"{paint('wait', 'wait')}     the event log does not answer: {error.cause.splitlines()[0]}"]


def _fitting(lines: Sequence[str], console: Console) -> Text:
    """As many lines as the screen has room for, and how many more there are."""
    room = max(1, console.height - 2)
    shown = list(lines[:room])
    if len(lines) > room:
        shown[-1] = f"… {len(lines) - room + 1} more lines: trainwright status"
    shown.append(paint("q ends", "faint"))
    text = Text.from_ansi(line_for("\n".join(shown), sys.stdout))
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


@contextmanager
def _keys() -> Iterator[Wait]:
    """Yield a wait that ends when q is pressed; the terminal is given back as it was."""
    if not sys.stdin.isatty():
        yield _sleep
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield _key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _key(seconds: float) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and sys.stdin.read(1) in ("q", "Q", "")


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
