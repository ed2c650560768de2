"""How much is simulated, and how often something goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One simulated fleet and its work; times in virtual seconds.

    Attributes:
        hosts: machines that claim.
        turn_seconds: between two turns of a host; all that its fits say between them is told together.
        slots: fits that each does at a time.
        plans: how many come, one when the one before is claimed to the end.
        plan_fits: fits of a plan, ten a job.
        fit_seconds: median time of a fit; the spread is log-normal.
        start_seconds: from the claim to the first word.
        lease_seconds: of each claim.
        fail_share: of attempts that fail and may be tried again.
        spoilt_share: of fits that fail for good.
        deaths: hosts that die with all they have, and come back under another name.
        freezes: hosts that stand still for more than a lease, and speak then.
        away_seconds: how long a host is dead or frozen.
        seed: of all that is drawn.
    """

    hosts: int
    slots: int = 32
    turn_seconds: float = 20.0
    plans: int
    plan_fits: int = 5000
    fit_seconds: float = 60.0
    start_seconds: float = 1.5
    lease_seconds: float = 90.0
    fail_share: float = 0.01
    spoilt_share: float = 0.002
    deaths: int = 0
    freezes: int = 0
    away_seconds: float = 300.0
    seed: int = 8

    @property
    def fits(self) -> int:
        """All fits of all plans."""
        return self.plans * self.plan_fits

    def parts(self, count: int) -> list[Scenario]:
        """Return the fleet and its work in so many equal parts, each with a log of its own."""
        return [
            replace(
                self,
                hosts=self.hosts // count,
                plans=self.plans // count,
                deaths=self.deaths // count,
                freezes=self.freezes // count,
                seed=self.seed + number,
            )
            for number in range(count)
        ]


FULL = Scenario(hosts=1000, plans=20, plan_fits=50_000, turn_seconds=30.0, deaths=400, freezes=200)
QUICK = Scenario(hosts=100, plans=6, plan_fits=2500, deaths=30, freezes=15)
