"""How far a step is and how long it still takes, from the work that was really done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from planner.request import Progress, Tell

Clock = Callable[[], float]


def fit_cost(rows: int, features: int, fits: int = 1) -> int:
    """Return the work of some fits in the unit of progress: thousands of cells, at least one."""
    return max(1, rows * features * fits // 1_000)


@dataclass(slots=True)
class Meter:
    """Tells the progress of one step; `total` is all its work, in any one unit, cached or not.

    The time left is that of the work done so far, carried over to the rest. What the cache answered counts
    as done and teaches nothing about time; until something was measured no time is told.
    """

    step: str
    total: int
    tell: Tell
    clock: Clock = time.monotonic
    _known: int = field(default=0, init=False)
    _measured: int = field(default=0, init=False)
    _since: float | None = field(default=None, init=False)
    _seconds: float = field(default=0.0, init=False)

    def begin(self) -> None:
        """Say that measuring begins now, after what the cache answered; before it no time is told."""
        self._since = self.clock()

    def known(self, words: str, cost: int = 1) -> None:
        """Count work that the cache answered."""
        self._known += cost
        self._report(words)

    def measured(self, words: str, cost: int = 1) -> None:
        """Count work that was done since `begin`."""
        self._measured += cost
        if self._since is not None:
            self._seconds = self.clock() - self._since
        self._report(words)

    @property
    def seconds_left(self) -> float | None:
        """Seconds the rest takes at the pace so far; None while nothing was measured."""
        if not self._measured or self._since is None:
            return None
        return self._seconds / self._measured * max(0, self.total - self._known - self._measured)

    def _report(self, words: str) -> None:
        done = min(self.total, self._known + self._measured)
        self.tell(
            Progress(step=self.step, done=done, total=self.total, words=words, seconds_left=self.seconds_left)
        )
