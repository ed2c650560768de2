"""The last few looks back, kept for those who move through the time with small steps."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.web.problems import Problem
from store.history import Past, past_at_seq

KEPT_MAX = 2  # each holds the states of all fits of its time
ASKED_MAX = 3  # moments that are waited for at once: the other threads answer everybody else


class Pasts:
    """Looks back at one log; each is folded once while others may wait for it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._kept: OrderedDict[int, Past] = OrderedDict()
        self._asked: Counter[int] = Counter()  # seq -> how many wait for it
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def at(self, seq: int) -> Past:
        """Return the log as it stood behind an event.

        Raises:
            NotFound: it is before the first event.
            Problem: too many other moments are looked at (503).
        """
        found = self._known(seq)
        if found is not None:
            return found
        with self._waiting(seq), self._turn:
            found = self._known(seq) or past_at_seq(self._url, seq)
            with self._lock:
                self._kept[seq] = found
                if len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)  # who still looks at it keeps it until the answer is made
        return found

    def _known(self, seq: int) -> Past | None:
        with self._lock:
            if seq in self._kept:
                self._kept.move_to_end(seq)
            return self._kept.get(seq)

    @contextmanager
    def _waiting(self, seq: int) -> Iterator[None]:
        """Count somebody in who waits for a moment; raises Problem."""
        with self._lock:
            if seq not in self._asked and len(self._asked) >= ASKED_MAX:
                raise Problem(503, "others are looking back already", fix="try again in a few seconds")
            self._asked[seq] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked[seq] -= 1
                self._asked += Counter()  # those that nobody waits for go
