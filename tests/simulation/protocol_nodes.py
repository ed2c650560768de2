"""What a world of a few workers consists of: its states, what can happen in one, and what may be claimed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from store_samples import Clock

from store import Claim, Plan, RetryPolicy
from store.ordering import ClaimOrder
from store.state import FINAL_STATES, LEASED_STATES, FitState, PauseState, PlanState, State

EPOCH = Clock().now.timestamp() * 1_000_000
ENDING = ("succeeded", "failed", "released")
WORDS = ("started", "checkpointed", *ENDING)


class Violation(AssertionError):
    """A promise that did not hold; `trace` is what led there, shortest first when a search found it."""

    def __init__(self, promise: str, trace: tuple[str, ...] = ()) -> None:
        steps = "".join(f"\n  {number:2d}. {step}" for number, step in enumerate(trace, start=1))
        super().__init__(f"{promise}, after {len(trace)} steps:{steps}" if trace else promise)
        self.promise = promise
        self.trace = trace


class Action(NamedTuple):
    """Something that happens: what, by whom, and to which fit or stage."""

    kind: str
    worker: str = ""
    about: str = ""
    cut: bool = False

    def __str__(self) -> str:
        words = " ".join(part for part in self[:3] if part)
        return f"{words} (its answer is lost)" if self.cut else words


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which world is searched: its plan, its clock, and how much may go wrong on one way.

    Attributes:
        beside: a second plan, accepted at the same moment.
        limit: how many fits one claim takes at most.
        people: whether fits are held and lifted, and the work is paused and resumed.
        ticks: how often the clock moves past every lease and every wait.
        faults: how many crashes, lost answers, cancels and retries there are together.
        late: the words that a worker says under a claim that is not valid any more.
        lost: the words whose answer may be lost.
    """

    name: str
    plan: Plan
    beside: Plan | None = None
    limit: int = 2
    people: bool = False
    workers: tuple[str, ...] = ("u", "v")
    lease_seconds: float = 60.0
    tick_seconds: float = 61.0
    policy: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(attempts_max=2, expiries_max=2, backoff_seconds=30.0)
    )
    ticks: int = 2
    faults: int = 1
    late: tuple[str, ...] = WORDS
    lost: tuple[str, ...] = WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word whose answer was lost: who said it may say it again, under the same event id."""

    worker: str
    kind: str
    claim: Claim
    event_id: bytes
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a node was reached: the way before it, and the last action."""

    before: Way | None
    action: Action

    def actions(self) -> tuple[Action, ...]:
        """All actions from the beginning."""
        found, way = [], self
        while way is not None:
            found.append(way.action)
            way = way.before
        return tuple(reversed(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One state of the world.

    Attributes:
        state: the bytes of the database, packed.
        elapsed: seconds since the beginning.
        head: the seq of the last event.
        rows: what the events fold to, by kind and key.
        leases: fit, fence, worker and end of each lease.
        claims: what each worker remembers: its last claim of each fit, valid or not.
        held: the one valid claim of each fit and its end, by the model.
        unanswered: a recorded word whose answer was lost.
        succeeded: the fits that have succeeded.
        way: how it was reached.
    """

    state: bytes
    workers: tuple[str, ...]
    elapsed: float
    head: int
    rows: Mapping[tuple[type[State], tuple[object, ...]], State]
    leases: tuple[tuple[str, int, str, int], ...]
    claims: Mapping[tuple[str, str], Claim]
    held: Mapping[str, tuple[Claim, float]]
    unanswered: Word | None
    ticks: int
    faults: int
    succeeded: frozenset[str]
    way: Way | None

    @property
    def now(self) -> float:
        """The hour, in microseconds since the epoch."""
        return EPOCH + self.elapsed * 1_000_000

    def fits(self) -> tuple[FitState, ...]:
        """The fits, in the order of the plans."""
        return tuple(row for row in self.rows.values() if isinstance(row, FitState))

    def plans(self) -> tuple[PlanState, ...]:
        """The plans, the oldest first."""
        return tuple(row for row in self.rows.values() if isinstance(row, PlanState))


def require(condition: object, promise: str) -> None:
    """Raise Violation unless the condition holds."""
    if not condition:
        raise Violation(promise)


def actions(config: Config, node: Node) -> Iterator[Action]:
    """What may happen next, faults only while there are any left."""
    for stage in sorted({fit.stage for fit in node.fits()}):
        # Where nothing can be claimed, it is all one who asks.
        for worker in config.workers if due(node, stage) else config.workers[:1]:
            yield Action("claim", worker, stage)
    for (worker, _), claim in node.claims.items():
        yield from _words(config, node, worker, claim)
    yield Action("rescue")
    if node.unanswered is not None:
        yield Action("repeat", node.unanswered.worker, node.unanswered.claim.fit_id)
    for worker in config.workers:
        remembers = any(key[0] == worker for key in node.claims)
        if remembers and node.faults < config.faults:
            yield Action("crash", worker)
        elif not remembers and any(lease[2] == worker for lease in node.leases):
            yield Action("rescue dead", worker)
    if node.ticks < config.ticks:
        yield Action("tick")
    yield from _decisions(config, node)


def _words(config: Config, node: Node, worker: str, claim: Claim) -> Iterator[Action]:
    """What a worker may say under a claim, valid or not."""
    valid = valid_claim(node, claim)
    state = node.rows[FitState, (claim.fit_id,)].state
    yield Action("renew", worker, claim.fit_id)
    for word in WORDS if valid else config.late:
        if valid and (word, state) in (("started", "running"), ("checkpointed", "claimed")):
            continue
        yield Action(word, worker, claim.fit_id)
        if valid and node.faults < config.faults and word in config.lost:
            yield Action(word, worker, claim.fit_id, cut=True)


def _decisions(config: Config, node: Node) -> Iterator[Action]:
    """What people may do."""
    for fit in node.fits():
        if node.faults < config.faults:
            yield Action("cancel", about=fit.fit_id)
            yield Action("retry", about=fit.fit_id)
        if config.people:
            yield Action("hold" if fit.held is None else "lift_hold", about=fit.fit_id)
    if config.people:
        yield Action("resume" if paused(node) else "pause")


def due(node: Node, stage: str) -> list[str]:
    """The fits that may be claimed, in their order: what the model knows of readiness."""
    if paused(node):
        return []
    states = {fit.fit_id: fit.state for fit in node.fits()}
    ready = [
        fit
        for fit in node.fits()
        if (fit.stage, fit.state, fit.held) == (stage, "ready", None)
        and not (stage == "gpu" and open_cpu(node, fit.plan_id))
        and (fit.not_before_at is None or fit.not_before_at <= node.now)
        and all(states[needed] == "succeeded" for needed in json.loads(fit.depends_on or "[]"))
        and all(
            states[part] in FINAL_STATES for group in json.loads(fit.awaits or "[]") for part in group["fits"]
        )
        and not in_vain(node, fit)
    ]
    return [fit.fit_id for fit in _shared_out(node, ready)]


def _shared_out(node: Node, ready: list[FitState]) -> list[FitState]:
    """The fits in the order of claims: each that a plan has at work, or before it, is a step back."""
    order, numbers = ClaimOrder(), {}
    for plan in node.plans():
        at_work = sum(fit.plan_id == plan.plan_id and fit.state in LEASED_STATES for fit in node.fits())
        line = sorted((fit for fit in ready if fit.plan_id == plan.plan_id), key=lambda fit: -fit.priority)
        for before, fit in enumerate(line, start=at_work):
            waits = plan.queued_at - fit.priority * order.priority_step
            numbers[fit.fit_id] = (waits + before * order.share_step, plan.accepted_seq)
    return sorted(ready, key=lambda fit: numbers[fit.fit_id])


def in_vain(node: Node, fit: FitState) -> bool:
    """Whether too few of the fits that a fit is made from can still succeed."""
    states = {one.fit_id: one.state for one in node.fits()}
    return any(
        sum(states[part] in ("succeeded", "ready", *LEASED_STATES) for part in group["fits"])
        < group["at_least"]
        for group in json.loads(fit.awaits or "[]")
    )


def valid_claim(node: Node, claim: Claim) -> bool:
    """Whether a claim is the one valid claim of its fit, by the model: whatever fence the store gave it."""
    return claim.fit_id in node.held and node.held[claim.fit_id][0] is claim


def paused(node: Node) -> bool:
    return any(kind is PauseState for kind, _ in node.rows)


def open_cpu(node: Node, plan_id: str) -> bool:
    fits = (fit for fit in node.fits() if fit.plan_id == plan_id)
    return any(fit.stage == "cpu" and fit.state not in FINAL_STATES for fit in fits)
