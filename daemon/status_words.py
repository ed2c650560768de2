"""What the daemon is at, in a line: for the service manager's status and for the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.host import Host
from daemon.serving import Serving

SHOWN = 3  # names in the line


def status_words(
    *,
    silent_seconds: float | None,
    drains: str | None,
    running: Sequence[str],
    refuses: str | None,
    judging: Sequence[str],
    aside: Sequence[str],
    inbox: Path,
) -> str:
    """Return the line.

    Args:
        silent_seconds: how long the event log has not answered.
        drains: what is said of a host that claims nothing more.
        running: names of the fits at work.
        refuses: why no plan is taken.
        judging: plans that are being looked through.
        aside: what else is wrong.
        inbox: where plans are waited for.
    """
    if silent_seconds is not None:
        return f"the event log has not answered for {silent_seconds:.0f} s"
    if running:
        more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
        at_work = f"training {', '.join(running[:SHOWN])}{more}"
        told = f"{drains}; {at_work}" if drains else at_work
    elif drains:
        told = drains
    elif refuses is not None:
        told = f"no plan is taken: {refuses}"
    elif judging:
        told = f"judging {', '.join(judging[:SHOWN])}"
    else:
        told = f"waiting for plans in {inbox}"
    return "; ".join((told, *aside))


def troubles_of(host: Host, serving: Serving | None) -> tuple[str, ...]:
    """Return what is wrong beside the work itself: with the engine, the artefacts, the page."""
    keeper = host.keeper
    found = (
        host.dispatcher.trouble,
        None if keeper is None else keeper.mover.trouble,
        None if serving is None else serving.trouble,
    )
    return tuple(words for words in found if words)
