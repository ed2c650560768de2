"""How far a step is and how long it still takes, from the work that was really done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from planner.request import Progress, Tell


@dataclass(slots=True)
class Meter:
    """Tells the progress of one step, from now on; `total` is its work in any one unit.

    The time left is that of the work done so far, carried over to the rest: the unit must be one of work that
    is really done, without what a cache answers. Until some is done no time is told.
    """

    step: str
    total: int
    tell: Tell
    clock: Callable[[], float] = time.monotonic
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def reach(self, words: str, done: int) -> None:
        """Say that `done` of the whole work is done, and how many seconds the rest takes at that pace."""
        rest = max(0, self.total - done)
        left = (self.clock() - self._since) / done * rest if done > 0 else None
        self.tell(
            Progress(step=self.step, done=self.total - rest, total=self.total, words=words, seconds_left=left)
        )
