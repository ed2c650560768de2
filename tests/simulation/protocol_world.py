"""The protocol of fits and leases as a world of a few workers: every step of it done by the real store.

A `Node` is one state of that world: the bytes of the database, the hour, and what each worker remembers.
`World.actions` says what could happen next, `World.act` lets it happen through a `PlanStore` over a database
in memory and compares what the store did with what a plain model of the promises allows:

- a word is taken from the one valid holder of a fit, and refused from everybody else;
- a fit has one valid claim at most, and is claimed exactly when it is ready, due and behind no barrier;
- a fit that is made from others is claimed once all of them have ended and enough have succeeded, and is
  given up exactly when too few are left;
- no GPU fit is claimed while a CPU fit of its plan is open;
- a rescue takes the fits whose lease ran out or whose worker is dead, and no other;
- a word said again under its event id has the answer it had, and is not recorded again;
- a fit succeeds once at most, however often it is cancelled and retried;
- the seqs of the log have no hole, and the projections are what the events fold to;
- a fit has a lease exactly while it is claimed or running, and the lease has the fence of the fit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from itertools import count

from branching_database import BranchingDatabase, PowerCut
from protocol_nodes import (
    ENDING,
    WORDS,
    Action,
    Config,
    Node,
    Violation,
    Way,
    Word,
    due,
    in_vain,
    open_cpu,
    require,
    valid_claim,
)
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, projected_rows

from store import Claim, Failure, LeaseLost, PlanStore, StoreError, WrongState
from store.events import FitClaimed, FitReleased, FitSucceeded, FitUnavailable
from store.folding import fold
from store.layout import SELECT_EVENT
from store.log import Recorded, recorded_of
from store.memory_database import empty
from store.projections import MemoryRows, row_of
from store.state import FINAL_STATES, LEASED_STATES, STATE_TYPES, FitState

LEASES = "SELECT fit_id, fence, worker, expires_at FROM lease ORDER BY fit_id"
FAILURE = Failure(cause="library", sentence="no", retryable=True)


class World:
    """The store over a database in memory, and the model it is compared with."""

    def __init__(self, config: Config, *, store: Callable[..., PlanStore] = PlanStore) -> None:
        self.config = config
        self.database = BranchingDatabase()
        self.clock = Clock()
        self.epoch = self.clock.now
        self.store = store(self.database, clock=self.clock, policy=config.policy)
        self._ids = count(1)
        self._doings: dict[str, Callable[[Node, Action], Node]] = {
            "claim": self._claim, "renew": self._renew, "rescue": self._rescue, "rescue dead": self._rescue,
            "repeat": self._repeat, "tick": self._tick, "crash": self._crash, "cancel": self._decide,
            "retry": self._decide, "hold": self._intervene, "lift_hold": self._intervene,
            "pause": self._pause, "resume": self._pause,
        }  # fmt: skip
        self._words = {
            "started": lambda claim, key: self.store.started(claim, STARTED, event_id=key),
            "checkpointed": lambda claim, key: self.store.checkpointed(claim, checkpoint(1), event_id=key),
            "succeeded": lambda claim, key: self.store.succeeded(claim, SUCCEEDED, event_id=key),
            "failed": lambda claim, key: self.store.failed(claim, FAILURE, event_id=key),
            "released": lambda claim, key: self.store.released(
                claim, FitReleased(cause="stop"), event_id=key
            ),
        }

    def first(self) -> Node:
        """The world just after its plans were accepted, in a database that was empty before."""
        self.database.go(empty())
        self.clock.now = self.epoch
        for plan in filter(None, (self.config.plan, self.config.beside)):
            self.store.accept(plan, source="s", name="n")
        nothing = Node(
            state=b"", workers=self.config.workers, elapsed=0.0, head=0, rows={}, leases=(), claims={},
            held={}, unanswered=None, ticks=0, faults=0, succeeded=frozenset(), way=None,
        )  # fmt: skip
        node, _ = self._observed(nothing)
        return replace(node, state=self.packed())

    def load(self, node: Node) -> None:
        """Go to a node."""
        self.database.go(zlib.decompress(node.state))
        self.set_clock(node)

    def back(self, node: Node) -> None:
        """Go back to the node loaded last."""
        self.database.back()
        self.set_clock(node)

    def set_clock(self, node: Node) -> None:
        """Set the clock to a node's hour."""
        self.clock.now = self.epoch
        self.clock.move(node.elapsed)

    def packed(self) -> bytes:
        """The database as it is now."""
        return zlib.compress(self.database.here(), 1)

    # -- letting it happen ---

    def act(self, node: Node, action: Action) -> tuple[Node, bool]:
        """Let it happen at a node that is loaded; returns what comes of it, and whether rows were written.

        Raises Violation. The node returned has no `state` yet where rows were written.
        """
        way = Way(before=node.way, action=action)
        before = self.database.changes
        try:
            after = self._done(node, action)
            if self.database.changes == before:
                return after if after is node else replace(after, way=way), False
            after, events = self._observed(after)
            _require_allowed(node, action, events, after)
        except (Violation, StoreError) as error:
            promise = error.promise if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
            raise Violation(promise, tuple(map(str, way.actions()))) from error
        return replace(after, way=way), True

    def _done(self, node: Node, action: Action) -> Node:
        """Do it through the store; returns the node with the new memories and the model's new claims."""
        return self._doings.get(action.kind, self._say)(node, action)

    def _renew(self, node: Node, action: Action) -> Node:
        claim = node.claims[action.worker, action.about]
        if not self._taken(node, claim, lambda: self.store.renew(claim)):
            return node
        until = node.elapsed + self.config.lease_seconds
        return replace(node, held={**node.held, claim.fit_id: (claim, until)})

    def _tick(self, node: Node, _: Action) -> Node:
        self.clock.move(self.config.tick_seconds)
        return replace(node, elapsed=node.elapsed + self.config.tick_seconds, ticks=node.ticks + 1)

    def _crash(self, node: Node, action: Action) -> Node:
        """The worker forgets all it had, and with it the word it waits for an answer to."""
        kept = {key: claim for key, claim in node.claims.items() if key[0] != action.worker}
        word = node.unanswered
        unanswered = None if word is not None and word.worker == action.worker else word
        return replace(node, claims=kept, unanswered=unanswered, faults=node.faults + 1)

    def _pause(self, node: Node, action: Action) -> Node:
        seq = {"pause": self.store.pause, "resume": self.store.resume}[action.kind]()
        require(seq == node.head + 1, "a pause was not recorded")
        return copy(node)

    def _claim(self, node: Node, action: Action) -> Node:
        ready = due(node, action.about)
        limit = self.config.limit
        claimed = self.store.claim(
            action.worker, stage=action.about, limit=limit, lease_seconds=self.config.lease_seconds
        )
        taken = [claim.fit_id for claim in claimed]
        require(not node.held.keys() & set(taken), "a fit has two valid claims")
        plans = {node.rows[FitState, (fit_id,)].plan_id for fit_id in taken if action.about == "gpu"}
        require(not any(open_cpu(node, plan) for plan in plans), "a GPU fit before its CPU stage")
        require(not set(taken) - set(ready), "what is not ready was claimed")
        require(not set(taken) - set(ready[:limit]), "what is less urgent was claimed")
        require(taken == ready[:limit], "what is ready was not claimed")
        until = node.elapsed + self.config.lease_seconds
        return replace(
            node,
            claims={**node.claims, **{(action.worker, claim.fit_id): claim for claim in claimed}},
            held={**node.held, **{claim.fit_id: (claim, until) for claim in claimed}},
        )

    def _say(self, node: Node, action: Action) -> Node:
        claim = node.claims[action.worker, action.about]
        event_id = next(self._ids).to_bytes(16, "big") if action.cut else None
        self.database.cut = action.cut
        taken = self._taken(node, claim, lambda: self._words[action.kind](claim, event_id))
        self.database.cut = False
        if not taken:
            return node
        held = dict(node.held)
        if action.kind in ENDING:
            del held[claim.fit_id]
        if event_id is None:
            return replace(node, held=held)
        unanswered = Word(
            worker=action.worker, kind=action.kind, claim=claim, event_id=event_id, seq=node.head + 1
        )
        return replace(node, held=held, unanswered=unanswered, faults=node.faults + 1)

    def _taken(self, node: Node, claim: Claim, word: Callable[[], object]) -> bool:
        """Say a word; returns whether it was taken, which only the valid holder's may and must be."""
        valid = valid_claim(node, claim)
        try:
            word()
        except LeaseLost:
            require(not valid, "the holder's word was refused")
            return False
        except PowerCut:
            pass
        require(valid, "a word under an old fence was taken")
        return True

    def _repeat(self, node: Node, _: Action) -> Node:
        word = node.unanswered
        assert word is not None
        try:
            answer = self._words[word.kind](word.claim, word.event_id)
        except LeaseLost:
            raise Violation("a recorded word was refused when it was said again") from None
        require(word.kind == "failed" or answer == word.seq, "a word said again got another answer")
        require(self.store.head_seq() == node.head, "a word said again was recorded twice")
        return replace(node, unanswered=None)

    def _rescue(self, node: Node, action: Action) -> Node:
        dead = action.worker
        expired = {fit_id for fit_id, (_, until) in node.held.items() if until < node.elapsed}
        of_dead = {lease[0] for lease in node.leases if dead and lease[2] == dead}
        rescued = self.store.rescue(is_dead=(lambda worker: worker == dead) if dead else None)
        taken = {rescue.fit_id for rescue in rescued}
        require(taken <= expired | of_dead, "a living lease was taken back")
        require(taken == expired | of_dead, "a lease that ran out was left")
        return replace(node, held={key: value for key, value in node.held.items() if key not in taken})

    def _decide(self, node: Node, action: Action) -> Node:
        state = node.rows[FitState, (action.about,)].state
        retryable = ("failed", "cancelled", "unavailable")
        fit_for = state not in FINAL_STATES if action.kind == "cancel" else state in retryable
        try:
            {"cancel": self.store.cancel, "retry": self.store.retry}[action.kind](action.about)
        except WrongState:
            require(not fit_for, f"a fit that is {state} could not be changed: {action.kind}")
            return node
        require(fit_for, f"a fit that is {state} was changed: {action.kind}")
        held = {key: value for key, value in node.held.items() if key != action.about}
        return replace(node, held=held, faults=node.faults + 1)

    def _intervene(self, node: Node, action: Action) -> Node:
        state = node.rows[FitState, (action.about,)].state
        possible = action.kind == "lift_hold" or state not in FINAL_STATES
        try:
            {"hold": self.store.hold, "lift_hold": self.store.lift_hold}[action.kind](action.about)
        except WrongState:
            require(not possible, f"a fit that is {state} could not be changed: {action.kind}")
            return node
        require(possible, f"a fit that is {state} was changed: {action.kind}")
        return copy(node)

    # -- what must hold of the rows ---

    def _observed(self, node: Node) -> tuple[Node, tuple[Recorded, ...]]:
        """Read what is new in the log and fold it; returns the node with it, and the new events."""
        with self.database.snapshot() as tx:
            new = tx.query(f"{SELECT_EVENT} WHERE seq > ? ORDER BY seq", (node.head,))
            leases = tuple(tx.query(LEASES))
        require(
            [row[0] for row in new] == list(range(node.head + 1, node.head + 1 + len(new))), "a hole in seq"
        )
        events = tuple(recorded_of(row) for row in new)
        rows = MemoryRows()
        for row in node.rows.values():
            rows.add(copy(row))
        for event in events:
            fold(rows, event)
        folded = {kind.TABLE: sorted(map(row_of, rows.of(kind).values()), key=repr) for kind in STATE_TYPES}
        live = {name: sorted(found, key=repr) for name, found in projected_rows(self.database).items()}
        require(live == folded, "a projection does not follow from the log")
        once = [event.fit for event in events if isinstance(event.event, FitSucceeded) and event.fit]
        require(not node.succeeded & set(once) and len(set(once)) == len(once), "a fit succeeded twice")
        kept = {(kind, key): row for kind in STATE_TYPES for key, row in rows.of(kind).items()}
        succeeded = node.succeeded | set(once)
        return replace(node, rows=kept, leases=leases, head=node.head + len(new), succeeded=succeeded), events


def _require_allowed(node: Node, action: Action, events: tuple[Recorded, ...], after: Node) -> None:
    """Require of the new events and of the leases what the log alone can show."""
    for event in events:
        fit = node.rows.get((FitState, (event.fit,)))
        if not isinstance(fit, FitState):
            continue
        if isinstance(event.event, FitClaimed):
            require(fit.state == "ready", f"a fit that is {fit.state} was claimed")
            barred = fit.stage == "gpu" and open_cpu(node, fit.plan_id)
            require(not barred, "a GPU fit before its CPU stage")
        if action.kind in WORDS and event.fit == action.about:
            fence = node.claims[action.worker, action.about].fence
            require(fence == fit.fence and fit.state in LEASED_STATES, "a word under an old fence")
    for fit in after.fits():
        require(
            fit.state != "ready" or not in_vain(after, fit), "a fit waits in vain for what it is made from"
        )
    for event in events:
        if isinstance(event.event, FitUnavailable) and event.event.needs is not None:
            given_up = after.rows[FitState, (event.fit,)]
            require(
                given_up.state != "unavailable" or given_up.awaits is None or in_vain(after, given_up),
                "a fit was given up while enough of what it is made from are left",
            )
    wanted = {fit.fit_id: fit.fence for fit in after.fits() if fit.state in LEASED_STATES}
    require({lease[0]: lease[1] for lease in after.leases} == wanted, "leases and states disagree")
