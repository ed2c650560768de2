"""Numbers and names as people read them, in the same form in every table of plans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime


def route_words(route: str) -> str:
    """A route as people read it: ``ROUTE_CROSS_SECTIONAL`` is "cross sectional"."""
    return route.removeprefix("ROUTE_").lower().replace("_", " ")


def score_words(score: float | None, error: float | None) -> str:
    """A score with its standard error: ``+0.538 ± 0.015``; a dash for none."""
    if score is None:
        return "-"
    return f"{score:+.3f}" if error is None else f"{score:+.3f} ± {error:.3f}"


def number(value: float | None) -> str:
    """A small number in at most seven signs: ``0.032``, ``1.2e-07``; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def share_words(share: float) -> str:
    """A share as a percentage without needless zeros: ``99.8 %``, ``20 %``."""
    return f"{100 * share:.3g} %"


def bytes_words(count: int) -> str:
    """A number of bytes: ``12 KiB``, ``151 MiB``, ``2.4 GiB``."""
    if count < 2**20:
        return f"{math.ceil(count / 2**10)} KiB"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def names_words(names: Sequence[str], limit: int = 6) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def counted(count: int, noun: str) -> str:
    """So many of something: ``1 job``, ``10,000 jobs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counts_words(
    *, succeeded: int, failed: int = 0, unavailable: int = 0, cancelled: int = 0, still_open: int = 0
) -> str:
    """How a plan's fits stand: ``31 done, 2 failed, 9 open``; what there is none of is left out."""
    counts = {
        "done": succeeded,
        "failed": failed,
        "not available": unavailable,
        "cancelled": cancelled,
        "open": still_open,
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "none"


def legible(text: str) -> str:
    """Foreign text with its control signs shown, not obeyed, also those that turn the order of letters."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t" else repr(sign)[1:-1] for sign in text)


def iso(at: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC with a Z."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(at: datetime | None) -> str:
    """A time for people: UTC to the second, ``2026-01-02 03:04:05Z``."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def span(seconds: float) -> str:
    """A duration as people say it: ``0.4s``, ``37s``, ``4m 10s``, ``2h 05m``, ``3d 07h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    if minutes < 48 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    return f"{minutes // 1440}d {minutes % 1440 // 60:02d}h"
