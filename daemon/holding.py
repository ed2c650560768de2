"""What the host itself holds back: pauses like those of people, in the log, with the host's own actor.

They are of one stage on this host each. So a person's pause of the whole host has a scope of its own and
outlives them. The daemon lifts only what it paused itself; a pause that a person lifted stays lifted until
its condition has ended and comes again, or the daemon starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from daemon.identity import Identity, is_dead
from store.plan import STAGES
from store.plan_store import PlanStore
from store.records import PauseRow

log = structlog.get_logger("conditions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A condition that keeps a stage from starting fits: its name, and what people are told."""

    condition: str
    words: str


def actor_of(host: str) -> str:
    """Return who the pauses of a host are by, the same for every daemon that ever works there."""
    return f"daemon@{host}"


class OwnPauses:
    """Keeps the log's pauses what the conditions of this host want them to be."""

    def __init__(self, store: PlanStore, host: str) -> None:
        self._store, self._host = store, host
        self._actor = actor_of(host)
        self._made: dict[str, str] = {}  # stage -> the condition of the pause that we know of
        self._lifted: set[tuple[str, str]] = set()  # stages and conditions that a person does not mind

    def keep(self, wanted: Mapping[str, Hold]) -> None:
        """Pause the stages that are wanted, and lift our pauses of others. Raises StoreError."""
        found = self._found()
        for stage in STAGES:
            self._keep(stage, wanted.get(stage), found.get(stage))

    def lift(self) -> None:
        """Lift all our pauses: nobody would while no daemon is here. Raises StoreError."""
        for stage, pause in self._found().items():
            if pause.actor == self._actor:
                self._resume(stage, "the daemon stops")
        self._made.clear()

    def _found(self) -> dict[str, PauseRow]:
        """Return the pauses of this host by stage, whoever they are by."""
        pauses = self._store.reading.pauses()
        return {
            one.stage: one
            for one in pauses
            if one.plan is None and one.host == self._host and one.stage is not None
        }

    def _keep(self, stage: str, wanted: Hold | None, found: PauseRow | None) -> None:
        condition = None if wanted is None else wanted.condition
        self._lifted = {one for one in self._lifted if one[0] != stage or one[1] == condition}
        made = self._made.pop(stage, None)
        ours = found is not None and found.actor == self._actor
        if found is None and condition is not None and made == condition:
            self._lifted.add((stage, condition))
            log.warning("a person lifted the host's pause", stage=stage, condition=condition)
        if wanted is None or (stage, wanted.condition) in self._lifted:
            if ours:
                self._resume(stage, "its cause has ended" if wanted is None else "a person lifted it")
        elif found is None or ours:
            if found is None or found.reason != wanted.words:
                self._pause(stage, wanted, again=ours)
            self._made[stage] = wanted.condition

    def _pause(self, stage: str, wanted: Hold, *, again: bool) -> None:
        if again:
            self._resume(stage, "for another cause")
        self._store.pause(stage=stage, host=self._host, reason=wanted.words, actor=self._actor)
        log.warning("starting no more fits", stage=stage, condition=wanted.condition, sentence=wanted.words)

    def _resume(self, stage: str, reason: str) -> None:
        self._store.resume(stage=stage, host=self._host, reason=reason, actor=self._actor)
        log.info("fits may be started again", stage=stage, reason=reason)


def lift_leftovers(store: PlanStore, here: Identity) -> None:
    """Lift what a daemon of this host paused for this host and nobody lifts now; for those who work alone.

    A plan that it paused everywhere, because it only fails, waits for a person. Nothing while a daemon is at
    work here: it lifts its pauses itself. Raises StoreError.
    """
    ours = actor_of(here.host)
    pauses = [one for one in store.reading.pauses() if one.host == here.host and one.actor == ours]
    if not pauses or any(
        row.host == here.host
        and row.state == "working"
        and not is_dead(row.worker, here=here, alone=not store.reading.is_shared)
        for row in store.reading.hosts()
    ):
        return
    for one in pauses:
        store.resume(plan=one.plan, stage=one.stage, host=one.host, reason="its daemon is gone", actor=ours)
