"""What all writing to the log stands on: one transaction for each word, alone or beside others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from store import cursors
from store.database import Database, Statement
from store.errors import NotAlone
from store.moments import microseconds_of
from store.ordering import ClaimOrder
from store.reading import Reader
from store.retries import RetryPolicy
from store.turn import Turn

T = TypeVar("T")


class Writing:
    """One database to write to; `reading` asks it."""

    def __init__(
        self,
        database: Database,
        *,
        policy: RetryPolicy | None = None,
        clock: Callable[[], datetime] | None = None,
        order: ClaimOrder | None = None,
    ) -> None:
        self._database = database
        self._policy = policy or RetryPolicy()
        self.order = order or ClaimOrder()
        self._clock = clock
        self.reading = Reader(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()

    def bookmark(self, name: str, *, seq: int, data: Mapping[str, Any]) -> None:
        """Write how far a duty has come, for whoever has it next: no event, and nobody is woken."""
        now = microseconds_of(self._clock()) if self._clock else None
        with self._database.aside() as tx:
            cursors.write(tx, name, seq=seq, data=data, now=tx.now() if now is None else now)

    @contextmanager
    def _turn(self, *asked: Statement, shared: bool = False) -> Iterator[Turn]:
        """Yield one write transaction; its projections are written just before it commits."""
        now = microseconds_of(self._clock()) if self._clock else None
        database = self._database
        with database.transaction(shared=True) if shared else database.transaction() as tx:
            turn = Turn(tx, now=now, asked=asked, shared=shared)
            yield turn
            turn.flush()

    def _beside_others(self, decide: Callable[[Turn], T], *asked: Statement) -> tuple[T, Turn]:
        """Return what a short turn decides and the turn: beside others where the engine can, else alone.

        `decide` may be called a second time, in a turn that is alone, after the first was undone.
        """
        if self._database.engine == "postgresql":
            try:
                with self._turn(*asked, shared=True) as turn:
                    decided = decide(turn)
            except NotAlone:
                pass
            else:
                return decided, turn
        with self._turn(*asked) as turn:
            decided = decide(turn)
        return decided, turn
