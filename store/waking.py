"""How an idle host learns that something happened: a descriptor to wait for and a cheap question.

Measured on both engines: a claim or a word must pay nothing for it, and a host that waits must be quiet. So
SQLite's hosts hear the kernel's hint that the write-ahead log was written, and Postgres' hosts hear a
notification when a plan comes or opens again, and ask for the head of the log while a plan is open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

LOOK_SECONDS = 0.02  # between two questions while nothing but asking tells
REST_SECONDS = 1.0  # between two questions while something else tells, which may fail silently


class Waker(Protocol):
    """Tells one thread whether the log may have moved. What it knows may be late, never final."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when `moved` shall be asked; -1 for none at the moment."""

    def patience(self, *, expecting: bool) -> float:
        """Return the seconds after which to ask `moved` in any case; shorter while work is expected."""

    def moved(self) -> bool:
        """Return whether something may have been recorded since the last call; True the first time."""

    def gone(self, workers: Collection[str]) -> frozenset[str]:
        """Return those of these workers whose end the database has seen; none where it does not look."""

    def close(self) -> None:
        """Let go of the connection and the descriptor."""


class HeadWaker:
    """Asks for the head of the log again and again: for a database that tells nothing by itself."""

    def __init__(self, head: Callable[[], int]) -> None:
        self._head, self._seen = head, -1

    def fileno(self) -> int:
        """Return -1: there is nothing to wait for."""
        return -1

    def patience(self, *, expecting: bool) -> float:  # noqa: ARG002 - nothing else tells
        """Return the time between two questions."""
        return LOOK_SECONDS

    def moved(self) -> bool:
        """Return whether the head is another one than at the last call."""
        before, self._seen = self._seen, self._head()
        return self._seen != before

    def gone(self, workers: Collection[str]) -> frozenset[str]:  # noqa: ARG002
        """Return none: the database does not see workers end."""
        return frozenset()

    def close(self) -> None:
        """Nothing is held."""
