"""Whether a process that is given work still hears what it is told.

A process that stands still has not ended, so that nothing else finds it out; its work would be waited for as
long as it stands. A thread of it that waits for a slow network is another matter: the process answers.
"""

from __future__ import annotations

from collections.abc import Callable

ASK_SECONDS = 10.0  # between a word of the process and the question whether it is there
FROZEN_SECONDS = 60.0  # without an answer to it
TURN_SECONDS_MAX = 2.0  # what counts of a time in which nobody listened: the host may have stood still itself


class Liveness:
    """The silence of one process over its work, as somebody counts who listens to it again and again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.began()

    @property
    def is_frozen(self) -> bool:
        """Whether it did not answer for too long."""
        return self.silent_seconds >= ASK_SECONDS + FROZEN_SECONDS

    def began(self) -> None:
        """Count from now on, for a process that has just started."""
        self.silent_seconds, self._is_asked = 0.0, False
        self._turn_at = self._clock()

    def heard(self) -> None:
        """Note a word of it, whatever it says."""
        self.silent_seconds, self._is_asked = 0.0, False

    def turn(self, *, has_work: bool) -> bool:
        """Count the time since the last turn; whether it is to be asked now, which it is once."""
        now = self._clock()
        self.silent_seconds += min(now - self._turn_at, TURN_SECONDS_MAX) if has_work else 0.0
        self._turn_at = now
        is_due = not self._is_asked and self.silent_seconds >= ASK_SECONDS
        self._is_asked = self._is_asked or is_due
        return is_due
