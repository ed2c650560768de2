"""Why a fit is not running: one function, one code and one sentence for every waiting fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from store.moments import iso_utc
from store.records import FitRow


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingContext:
    """What the answer depends on besides the fit.

    Attributes:
        now: the moment of the question.
        daemons: how many daemons or draining commands are at work.
        cpu_open: CPU fits that the fit's stage barrier still waits for.
        ahead: ready fits of the same stage that come first.
        slots_free: free places for the fit's stage; None when nobody said.
    """

    now: datetime
    daemons: int
    cpu_open: int = 0
    ahead: int = 0
    slots_free: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReason:
    """A code for programs and a sentence for people."""

    code: str
    words: str


def waiting_reason(fit: FitRow, context: WaitingContext) -> WaitingReason | None:
    """Return why a ready fit does not run yet, the first reason that holds; None when it is not waiting."""
    if fit.state != "ready":
        return None
    if context.daemons == 0:
        return WaitingReason(
            code="NoWorker", words="no daemon is at work; start one with: trainwright daemon"
        )
    if fit.stage == "gpu" and context.cpu_open > 0:
        scope = "its job" if fit.stage_barrier == "job" else "its plan"
        return WaitingReason(
            code="WaitingForCpuStage",
            words=f"{context.cpu_open} CPU fits of {scope} must end before its GPU fits start",
        )
    if fit.not_before_at is not None and fit.not_before_at > context.now:
        seconds = (fit.not_before_at - context.now).total_seconds()
        when = f"at {iso_utc(fit.not_before_at)}, in {seconds:.0f} s"
        words = f"it failed {fit.failures} times and is tried again {when}"
        return WaitingReason(code="Backoff", words=words)
    if context.ahead > 0:
        return WaitingReason(code="Priority", words=f"{context.ahead} {fit.stage.upper()} fits come first")
    if context.slots_free == 0:
        return WaitingReason(code="Resources", words=f"all {fit.stage.upper()} places are taken")
    return WaitingReason(code="Next", words="it is next and will be claimed in a moment")
