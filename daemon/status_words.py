"""What the daemon is at, in a line: for the service manager's status and for the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHOWN = 3  # names in the line


def status_words(
    *,
    silent_seconds: float | None,
    drains: str | None,
    running: Sequence[str],
    refuses: str | None,
    judging: Sequence[str],
    aside: str | None,
    inbox: Path,
) -> str:
    """Return the line.

    Args:
        silent_seconds: how long the event log has not answered.
        drains: what is said of a host that claims nothing more.
        running: names of the fits at work.
        refuses: why no plan is taken.
        judging: plans that are being looked through.
        aside: what else is wrong and stops nothing.
        inbox: where plans are waited for.
    """
    if silent_seconds is not None:
        return f"the event log has not answered for {silent_seconds:.0f} s"
    if running:
        more = f" and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
        return f"{f'{drains}; ' if drains else ''}training {', '.join(running[:SHOWN])}{more}"
    if drains:
        return drains
    if refuses is not None:
        return f"no plan is taken: {refuses}"
    if judging:
        return f"judging {', '.join(judging[:SHOWN])}"
    return f"waiting for plans in {inbox}{f'; {aside}' if aside else ''}"
