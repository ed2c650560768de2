"""The last few looks back, kept for those who move through the time with small steps."""

from __future__ import annotations

import threading
from collections import OrderedDict

from store.history import Past, past_at_seq

KEPT_MAX = 2  # each holds the states of all fits of its time


class Pasts:
    """Looks back at one log; each is folded once while others may wait for it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._kept: OrderedDict[int, Past] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, seq: int) -> Past:
        """Return the log as it stood behind an event; raises NotFound before the first."""
        with self._lock:
            found = self._kept.pop(seq, None) or past_at_seq(self._url, seq)
            self._kept[seq] = found
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)  # who still looks at it keeps it until the answer is made
        return found
