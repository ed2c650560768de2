"""The last few looks back, kept for those who move through the time with small steps."""

from __future__ import annotations

import threading
from collections import OrderedDict

from daemon.web.problems import Problem
from store.history import Past, past_at_seq

KEPT_MAX = 2  # each holds the states of all fits of its time
ASKED_MAX = 3  # moments that are waited for at once: the other threads answer everybody else


class Pasts:
    """Looks back at one log: one is folded at a time, once for all who ask for it.

    When too many moments are asked for, the one that waits longest gives way: who moves on wants the newest.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._kept: OrderedDict[int, Past] = OrderedDict()
        self._asked: list[int] = []  # the one that waits longest first
        self._folding: int | None = None
        self._changed = threading.Condition()

    def at(self, seq: int) -> Past:
        """Return the log as it stood behind an event.

        Raises:
            NotFound: it is before the first event.
            Problem: too many other moments were asked for since (503).
        """
        with self._changed:
            known = self._known(seq) or self._known_after_waiting(seq)
            if known is not None:
                return known
            self._folding = seq
        found = None
        try:
            found = past_at_seq(self._url, seq)
        finally:
            with self._changed:
                self._folding = None
                self._keep(seq, found)
                self._changed.notify_all()
        return found

    def _known_after_waiting(self, seq: int) -> Past | None:
        """Wait for one's turn; None when it has come and nobody has folded this moment; raises Problem."""
        if seq not in self._asked:
            self._asked.append(seq)
        if len(self._asked) > ASKED_MAX:
            self._asked.remove(next(one for one in self._asked if one != self._folding))
            self._changed.notify_all()
        while self._folding is not None and seq in self._asked:
            self._changed.wait()
        known = self._known(seq)
        if known is None and seq not in self._asked:
            raise Problem(503, "others are looking back at the moment", fix="try again in a few seconds")
        return known

    def _known(self, seq: int) -> Past | None:
        if seq in self._kept:
            self._kept.move_to_end(seq)
        return self._kept.get(seq)

    def _keep(self, seq: int, found: Past | None) -> None:
        self._asked = [one for one in self._asked if one != seq]
        if found is not None:
            self._kept[seq] = found
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)  # who still looks at it keeps it until the answer is made
