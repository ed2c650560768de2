"""How long this process waits for a silent database: less once it was told to stop.

A server that answers is not hurried by it. One that is frozen would hold a stop for half a minute with each
word, until the service manager kills everything; so it is asked once more for a moment, and then no more.
"""

from __future__ import annotations

HURRY_SECONDS = 3.0


class Patience:
    """The patience of one process; `hurry` may be called from a signal's function."""

    def __init__(self) -> None:
        self._hurries = self._given_up = False

    @property
    def is_over(self) -> bool:
        """Whether the database was silent in a hurry: nothing is asked of it any more."""
        return self._given_up

    def seconds(self, usual: float) -> float:
        """Return how long a silence is borne, that is usually borne for so long."""
        if self._given_up:
            return 0.0
        return min(usual, HURRY_SECONDS) if self._hurries else usual

    @property
    def is_short(self) -> bool:
        """Whether there is a hurry."""
        return self._hurries

    def hurry(self) -> None:
        """Bear silence for a moment only, also of the question that is being asked."""
        self._hurries = True

    def lost(self) -> None:
        """Note a silence that was not borne."""
        self._given_up = self._hurries

    def rest(self) -> None:
        """Take time again."""
        self._hurries = self._given_up = False


PATIENCE = Patience()
