"""Every writing operation of the store by itself: what stands before it, and the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from store_audit import spoken, told_claim, told_event, told_id
from store_samples import Clock, cs_job, plan_of
from store_work import LEASE_SECONDS, POLICY, succeeded_word

from store import Claim, Failure, PlanRejected, PlanStore, RetryPolicy
from store.events import (
    CheckpointSaved,
    DaemonStarted,
    DaemonStopped,
    FitProgressed,
    FitReleased,
    FitStarted,
)
from store.planning_events import PlanningStarted

PLAN = plan_of(*(cs_job(f"y{number}") for number in range(3)))
OTHER_PLAN = plan_of(*(cs_job(f"y{number}") for number in range(3)), seed=2)
WORKER = "w-1-1"
_ID = bytes(range(16))
_IDS = [bytes(range(number, number + 16)) for number in (16, 32)]
Before = Callable[[PlanStore, Clock], dict[str, Any]]
Call = Callable[[PlanStore, dict[str, Any]], int | bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of the store; `call` returns the seq or the lines it acknowledges, None when it says none.

    `repeats` tells that the same call may be made again after an unknown fate and gives the same answer.
    """

    name: str
    before: Before
    call: Call
    kind: str = ""
    repeats: bool = False
    policy: RetryPolicy = POLICY

    def done(self, store: PlanStore, context: dict[str, Any]) -> bytes:
        """Call it, and return the lines of its acknowledgement."""
        answer = self.call(store, context)
        if isinstance(answer, bytes) or answer is None:
            return answer or b""
        claim = context.get("claim")
        return told_event(answer, self.kind, claim.fit_id if claim else context.get("subject", "-"))


def accepted(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A plan is there."""
    store.accept(PLAN, source="s", name="n")
    return {}


def claimed(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A fit was claimed and started."""
    accepted(store, clock)
    claim = store.claim(WORKER, stage="cpu", lease_seconds=LEASE_SECONDS)[0]
    store.started(claim, _started(claim))
    return {"claim": claim}


def claimed_all(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """All fits of the CPU stage were claimed."""
    accepted(store, clock)
    return {"claims": store.claim(WORKER, stage="cpu", limit=9, lease_seconds=LEASE_SECONDS)}


def held(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A fit is held back."""
    context = claimed(store, clock)
    store.hold(context["claim"].fit_id, reason="no")
    return context


def paused(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A plan is paused."""
    context = accepted(store, clock)
    store.pause(plan=PLAN.id, reason="no")
    return context


def nearly_done(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """One fit of the plan is left, and it is claimed: its end completes the plan."""
    accepted(store, clock)
    claims: list[Claim] = []
    for stage in ("cpu", "gpu"):
        claims += store.claim(WORKER, stage=stage, limit=9, lease_seconds=LEASE_SECONDS)
        while len(claims) > (stage == "gpu"):
            claim = claims.pop()
            store.succeeded(claim, succeeded_word(WORKER, claim.fence))
    return {"claim": claims[0]}


def expired(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """Two leases have run out."""
    accepted(store, clock)
    store.claim(WORKER, stage="cpu", limit=2, lease_seconds=LEASE_SECONDS)
    clock.move(LEASE_SECONDS + 1)
    return {}


def failed_for_good(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A fit has failed."""
    context = claimed(store, clock)
    store.failed(context["claim"], Failure(cause="library", sentence="no"))
    return context


def served(store: PlanStore, clock: Clock) -> dict[str, Any]:
    """A daemon has started."""
    store.daemon_started(_DAEMON)
    return {}


def _started(claim: Claim) -> FitStarted:
    mark = spoken(claim.worker, claim.fence)
    return FitStarted(pid=1, device_requested="cpu", device_used="cpu", log=mark)


def _saved(claim: Claim) -> CheckpointSaved:
    return CheckpointSaved(step=3, path=spoken(claim.worker, claim.fence), seconds=0.1)


def _renewed(store: PlanStore, context: dict[str, Any]) -> None:
    store.renew(context["claim"])


def _failed(store: PlanStore, context: dict[str, Any]) -> bytes:
    failure = Failure(cause="library", sentence=spoken(WORKER, context["claim"].fence), retryable=True)
    store.failed(context["claim"], failure, event_id=_ID)
    return told_id(_ID, "FitFailed", context["claim"].fit_id)


def _claim_two(store: PlanStore, context: dict[str, Any]) -> bytes:
    claims = store.claim("w-2-2", stage="cpu", limit=2, lease_seconds=LEASE_SECONDS)
    return b"".join(told_claim(claim.fit_id, claim.fence, claim.worker) for claim in claims)


def _rescued(store: PlanStore, context: dict[str, Any]) -> None:
    store.rescue()


def _rebuilt(store: PlanStore, context: dict[str, Any]) -> None:
    store.rebuild()


def _all_told(claims: Sequence[Claim], answers: Sequence[object]) -> bytes:
    """The lines of a batch."""
    return b"".join(
        told_event(seq, "FitSucceeded", claim.fit_id)
        for claim, seq in zip(claims, answers, strict=True)
        if isinstance(seq, int)
    )


def _none(_: object) -> None:
    return None


_DAEMON = DaemonStarted(worker="h-1", host="h", version="1", boot_id="b", pid=1)
_REJECTED = PlanRejected(source="s", place="jobs[0]", sentence="no", fix="Do")
_PLANNINGS = [PlanningStarted(data_dir="data"), PlanningStarted(data_dir="other")]

OPERATIONS = (
    Operation(
        name="accept", before=lambda s, c: {"subject": PLAN.id}, kind="PlanAccepted", repeats=True,
        call=lambda s, x: s.accept(PLAN, source="s", name="n").seq,
    ),
    Operation(
        name="accept a second plan", before=lambda s, c: accepted(s, c) | {"subject": OTHER_PLAN.id},
        kind="PlanAccepted", repeats=True,
        call=lambda s, x: s.accept(OTHER_PLAN, source="s", name="n").seq,
    ),
    Operation(
        name="reject", before=lambda s, c: {}, kind="PlanRejected",
        call=lambda s, x: s.reject(_REJECTED, name="n"),
    ),
    Operation(name="claim", before=accepted, call=_claim_two),
    Operation(name="renew", before=claimed, call=_renewed),
    Operation(
        name="started", before=claimed, kind="FitStarted", repeats=True,
        call=lambda s, x: s.started(x["claim"], _started(x["claim"]), event_id=_ID),
    ),
    Operation(
        name="progressed", before=claimed, kind="FitProgressed", repeats=True,
        call=lambda s, x: s.progressed(x["claim"], FitProgressed(step=1, steps_total=9), event_id=_ID),
    ),
    Operation(
        name="checkpointed", before=claimed, kind="CheckpointSaved", repeats=True,
        call=lambda s, x: s.checkpointed(x["claim"], _saved(x["claim"]), event_id=_ID),
    ),
    Operation(
        name="succeeded", before=claimed, kind="FitSucceeded", repeats=True,
        call=lambda s, x: s.succeeded(x["claim"], succeeded_word(WORKER, x["claim"].fence), event_id=_ID),
    ),
    Operation(
        name="succeeded, the last of its plan", before=nearly_done, kind="FitSucceeded", repeats=True,
        call=lambda s, x: s.succeeded(x["claim"], succeeded_word(WORKER, x["claim"].fence), event_id=_ID),
    ),
    Operation(name="failed", before=claimed, call=_failed, repeats=True),
    Operation(
        name="released", before=claimed, kind="FitReleased", repeats=True,
        call=lambda s, x: s.released(
            x["claim"], FitReleased(cause=spoken(WORKER, x["claim"].fence)), event_id=_ID
        ),
    ),
    Operation(name="rescue", before=expired, call=_rescued),
    Operation(
        name="rescue for good", before=expired, call=_rescued, policy=RetryPolicy(expiries_max=1),
    ),
    Operation(
        name="cancel", before=claimed, kind="FitCancelled",
        call=lambda s, x: s.cancel(x["claim"].fit_id, reason="no"),
    ),
    Operation(
        name="retry", before=failed_for_good, kind="FitRetried",
        call=lambda s, x: s.retry(x["claim"].fit_id, reason="yes"),
    ),
    Operation(
        name="daemon started", before=served, call=lambda s, x: _none(s.daemon_started(_DAEMON)),
    ),
    Operation(
        name="daemon stopped", before=served, kind="DaemonStopped",
        call=lambda s, x: s.daemon_said(DaemonStopped(worker="h-1", host="h", cause="SIGTERM")),
    ),
    Operation(
        name="record", before=lambda s, c: {}, kind="PlanningStarted", repeats=True,
        call=lambda s, x: s.record("n_1", _PLANNINGS, event_ids=_IDS)[0],
    ),
    Operation(
        name="succeeded together", before=claimed_all,
        call=lambda s, x: _all_told(x["claims"], s.succeeded_many([
            (claim, succeeded_word(WORKER, claim.fence)) for claim in x["claims"]
        ])),
    ),
    Operation(
        name="hold", before=claimed, kind="FitHeld", call=lambda s, x: s.hold(x["claim"].fit_id, reason="no"),
    ),
    Operation(
        name="lift a hold", before=held, kind="FitHoldLifted",
        call=lambda s, x: s.lift_hold(x["claim"].fit_id),
    ),
    Operation(
        name="pause", before=lambda s, c: accepted(s, c) | {"subject": PLAN.id}, kind="WorkPaused",
        call=lambda s, x: s.pause(plan=PLAN.id, reason="no"),
    ),
    Operation(
        name="resume", before=lambda s, c: paused(s, c) | {"subject": PLAN.id}, kind="WorkResumed",
        call=lambda s, x: s.resume(plan=PLAN.id),
    ),
    Operation(name="rebuild", before=nearly_done, call=_rebuilt),
)  # fmt: skip
