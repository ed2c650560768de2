"""What readers ask about work still to be done: what waits and why, what is left, what is called how."""

from __future__ import annotations

from collections.abc import Callable, Collection

from store import costs, naming, rest, waiting
from store.cursors import CursorReading
from store.reasons import WaitingContext
from store.records import EventRow, FitRow, PauseRow, ReadyGroup


class QueueReading(CursorReading):
    """Questions about the queue; the second part of a `Reader`."""

    @property
    def is_shared(self) -> bool:
        """Whether several machines may work on this log at once."""
        return self._database.engine == "postgresql"

    def waiting_context(self, fit: FitRow, *, is_dead: Callable[[str], bool]) -> WaitingContext:
        """Return what `waiting_reason` needs to say why a fit waits, as of now.

        A daemon that `is_dead` is not at work, though the log never heard of its end.
        """
        with self._database.snapshot() as tx:
            return waiting.context_of(tx, fit, waiting.surroundings(tx, is_dead=is_dead))

    def surroundings(self, *, is_dead: Callable[[str], bool]) -> waiting.Surroundings:
        """Return what all fits wait for alike: who is at work where, with which room, and all pauses."""
        with self._database.snapshot() as tx:
            return waiting.surroundings(tx, is_dead=is_dead)

    def pauses(self) -> tuple[PauseRow, ...]:
        """Return all pauses, oldest first."""
        with self._database.snapshot() as tx:
            return waiting.pauses(tx)

    def cpu_open(self, plan_id: str, job_id: str | None = None) -> int:
        """Return how many CPU fits of a plan, or of one job of it, have not ended."""
        with self._database.snapshot() as tx:
            return waiting.cpu_open(tx, plan_id, job_id)

    def ready_groups(self) -> tuple[ReadyGroup, ...]:
        """Return the ready fits counted by plan, stage and what holds them back."""
        with self._database.snapshot() as tx:
            return waiting.ready_groups(tx)

    def queue_heads(self, stage: str) -> tuple[str, ...]:
        """Return the fit of each open plan that is claimed first of its stage, newest plan last."""
        with self._database.snapshot() as tx:
            return waiting.queue_heads(tx, stage)

    def past_costs(self, families: Collection[str] | None = None) -> dict[str, dict[str, float]]:
        """Return what fits have cost by family: how many, seconds at least and per million cells."""
        with self._database.snapshot() as tx:
            return costs.past_costs(tx, families)

    def rest(self, plan_id: str) -> tuple[rest.RestOfKind, ...]:
        """Return what a plan has left to do, by kind of fit, with what such fits have taken so far."""
        with self._database.snapshot() as tx:
            return rest.rest_of(tx, plan_id)

    def promotions(self) -> dict[str, EventRow]:
        """Return the names that people gave to models, each with the event it holds by."""
        with self._database.snapshot() as tx:
            return naming.promotions(tx)

    def newest_planning(self, target: str | None = None) -> str | None:
        """Return the planning that decided last, about a target or about any; None where none did."""
        with self._database.snapshot() as tx:
            return naming.newest_planning(tx, target)

    def names(self, noun: str, begin: str = "", *, limit: int = naming.LIMIT) -> tuple[str, ...]:
        """Return the names of one kind (see `naming.NOUNS`) that begin with a text, in their order."""
        with self._database.snapshot() as tx:
            return naming.names(tx, noun, begin, limit)
