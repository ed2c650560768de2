"""Fits that another is made from: it waits until they have ended, and needs the success of enough of them.

An ensemble needs two of its members at least, a blend one of each of its sides. That is another need than
`depends_on`, which asks for the success of every fit named: a member that failed for good, was cancelled or
cannot run here is done without, as long as enough are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MEMBERS_AT_LEAST = 2  # of an ensemble: one model alone is itself
SIDE_AT_LEAST = 1  # of each side of a blend


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """Fits that must have ended before another starts, and how many of them must have succeeded.

    Attributes:
        fits: their ids.
        at_least: how many of them must have succeeded.
    """

    fits: tuple[str, ...]
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A fit that has succeeded and that another is made from, as the log has it."""

    name: str
    family: str
    bundle: str
    sha256: str


def awaited_ids(awaits: Sequence[Awaited]) -> tuple[str, ...]:
    """Return the ids of all groups, each once, in their order."""
    return tuple(dict.fromkeys(fit_id for group in awaits for fit_id in group.fits))


def awaited_of(told: Sequence[Any]) -> tuple[Awaited, ...]:
    """Return the groups of a decoded JSON list."""
    return tuple(Awaited(fits=tuple(one["fits"]), at_least=one["at_least"]) for one in told)


def short_group(awaits: Sequence[Awaited], is_lost: Callable[[str], bool]) -> Awaited | None:
    """Return the first group of which not enough fits can still succeed, None when there is none.

    `is_lost` says of an id whether that fit has ended without success.
    """
    for group in awaits:
        if sum(not is_lost(fit_id) for fit_id in group.fits) < group.at_least:
            return group
    return None


def shortage_words(group: Awaited, lost: str | None = None) -> str:
    """Return why a fit cannot be made: one it is made from was lost, or there are too few to begin with."""
    if lost is not None:
        return f"it is made from {group.at_least} fits at least, and too few are left without {lost}"
    return f"it is made from {group.at_least} other fits at least, and its plan has {len(group.fits)} for it"
