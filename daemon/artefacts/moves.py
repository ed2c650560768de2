"""What is asked of the process that moves artefacts, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PUT, GET, PUT_FILE, REMOVE, RESUME, FITS = "put", "get", "put_file", "remove", "resume", "fits"
PING = "ping"  # no move: asks whether the process is there, and is answered at once
DONE = "done"
ABSENT, DAMAGED = "absent", "damaged"  # there is none, or not the one that was put there
FULL, REFUSED = "full", "refused"  # the disk here, or something else here
AWAY = "away"  # of an answer only: it is asked again
WAIT_SECONDS, WAIT_SECONDS_MAX = 0.5, 15.0  # before it is asked again: doubled each time
ENDS_MAX = 3  # of its process, while it did this, after which it is refused


@dataclass(slots=True, eq=False, kw_only=True)
class Move:
    """One artefact on its way; `outcome` is None until that is known.

    Attributes:
        number: in the order in which moves were asked for.
        do: put, get, put_file, remove, resume, or fits: which of them have states there.
        key: of the artefact; of ``resume`` the prefix of all states of a fit.
        path: of the directory or file here.
        is_urgent: something waits for it.
        instead_of: artefacts that are not needed any more once it is done.
        fence: of ``resume``: the newest lease whose states count.
        tries_max: after so many without an answer it is let go; None: never.
    """

    number: int
    do: str
    key: str
    path: Path
    is_urgent: bool = False
    instead_of: tuple[str, ...] = ()
    fence: int = 0
    tries_max: int | None = None
    outcome: str | None = field(default=None, init=False)
    words: str = field(default="", init=False)
    is_under_way: bool = field(default=False, init=False)
    again_at: float = field(default=float("-inf"), init=False)
    tries: int = field(default=0, init=False)
    ends: int = field(default=0, init=False)

    @property
    def asked(self) -> dict[str, Any]:
        """What its process is told."""
        return {
            "number": self.number,
            "do": self.do,
            "key": self.key,
            "path": str(self.path),
            "instead_of": self.instead_of,
            "fence": self.fence,
        }

    def answered(self, outcome: str, words: str, now: float) -> bool:
        """Take an answer; whether that settles it."""
        self.is_under_way = False
        self.words = words
        if outcome == AWAY:
            self.tries += 1
            if self.tries_max is None or self.tries < self.tries_max:
                self._wait(now, self.tries)
                return False
            outcome = REFUSED
        self.outcome = outcome
        return True

    def cut_off(self, now: float) -> bool:
        """Take note that its process ended meanwhile; whether that settles it."""
        self.is_under_way = False
        self.ends += 1
        if self.ends < ENDS_MAX:
            self._wait(now, self.ends)
            return False
        self.outcome, self.words = REFUSED, "the process that moves artefacts ended over it each time"
        return True

    def _wait(self, now: float, tries: int) -> None:
        self.again_at = now + min(WAIT_SECONDS_MAX, WAIT_SECONDS * 2 ** min(tries, 10))
