"""What is dear to make and may be a moment old: made once for all who ask within that time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

KEPT_MAX = 64
T = TypeVar("T")


class Lately:
    """Keeps what was made lately; shared by all threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[Hashable, tuple[float, Any]] = {}

    def made(self, key: Hashable, seconds: float, make: Callable[[], T]) -> T:
        """Return what was made under a key at most so many seconds ago, else make it now.

        Two who ask at the same moment may both make it; an error is not kept.
        """
        now = self._clock()
        with self._lock:
            known = self._made.get(key)
            if known is not None and now - known[0] < seconds:
                value: T = known[1]
                return value
        value = make()
        with self._lock:
            if len(self._made) >= KEPT_MAX:
                del self._made[min(self._made, key=lambda one: self._made[one][0])]
            self._made[key] = (now, value)
        return value
