"""Virtual time: what happens next, and the clocks that store and dispatcher are given."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

_BEGIN = 1_767_225_600_000_000  # 2026-01-01, in microseconds since the epoch


class Agenda:
    """Things to be done at moments of virtual seconds; those of one moment in the order they were put."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Do something at a moment; one that is past is now."""
        heappush(self._waiting, (max(moment, self.now), next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        self.at(self.now + seconds, act)

    def step(self) -> bool:
        """Go to the next moment and do what is due; False when nothing waits."""
        if not self._waiting:
            return False
        self.now, _, act = heappop(self._waiting)
        act()
        return True

    def monotonic(self) -> float:
        """The seconds since the beginning."""
        return self.now

    def microseconds(self) -> int:
        """The moment as the database's clock tells it."""
        return _BEGIN + round(self.now * 1_000_000)
