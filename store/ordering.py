"""The order of claims: one number for each ready fit, in seconds; the least comes first.

    number = since when its plan waits - priority * priority step + fits of the plan at work * share step

All wait alike, so the number of a fit changes only with what its plan has at work. Nothing starves: a fit is
passed over only by fits of plans that came before it, or after it by no more than the difference of priority
in steps, plus a share step for each fit that its plan has at work beyond the other's.
"""

from __future__ import annotations

from dataclasses import dataclass

from store.moments import MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOrder:
    """How much priority and the plans' shares weigh against waiting; the defaults of the settings.

    Attributes:
        priority_step_seconds: so much longer a fit waits than one that is more urgent by 1, at most.
        share_step_seconds: so much each fit at work puts the next one of its plan back.
    """

    priority_step_seconds: float = 3600.0
    share_step_seconds: float = 60.0

    @property
    def priority_step(self) -> int:
        """The priority step in microseconds."""
        return round(self.priority_step_seconds * MICROSECONDS)

    @property
    def share_step(self) -> int:
        """The share step in microseconds."""
        return round(self.share_step_seconds * MICROSECONDS)

    def number(self, *, queued_at: int, priority: int, at_work: int) -> int:
        """Return the number of a fit in microseconds, its plan waiting since `queued_at`, `at_work` of it."""
        return queued_at - priority * self.priority_step + at_work * self.share_step
