"""A plan in pictures: its targets ranked, and their way over features and routes to jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from daemon.pictures import Estimate, Way, ranking, routes
from daemon.views.plan_facts import PlanTold, TargetTold
from daemon.views.words import counted, route_words
from store.plan import ROUTE_BLOCKED

KINDS = {"cross_sectional": "for all symbols", "symbol_specific": "for one symbol each"}
RANKED_SHOWN, ROUTED_SHOWN = 40, 24


def ranking_drawn(
    targets: Sequence[TargetTold], *, plan: str | None = None, limit: int = RANKED_SHOWN
) -> Markup:
    """Return the targets that were measured, in their order, with the interval of their skill.

    With the id of a `plan` each leads to its part of that plan's page.
    """
    measured = [target for target in targets if target.best is not None and target.best.score is not None]
    rows = [_estimate(target, plan) for target in measured[:limit]]
    label = f"{counted(len(measured), 'target')} by skill above none"
    return ranking(rows, label=label)


def routes_drawn(told: PlanTold, *, links: bool = True, limit: int = ROUTED_SHOWN) -> Markup:
    """Return the way from targets to jobs."""
    jobs: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for target, training_type, route, count in told.job_kinds:
        if route != ROUTE_BLOCKED:
            jobs[target][route_words(route), KINDS.get(training_type, training_type)] += count
    plan = told.plan.id if links else None
    return routes([_way(target, jobs[target.name], plan) for target in told.targets], limit=limit)


def target_link(plan: str, target: str) -> str:
    """Return the address of one target of a plan."""
    return f"/plans/{plan}?{urlencode({'target': target})}"


def _estimate(target: TargetTold, plan: str | None) -> Estimate:
    best = target.best
    low, high = (best and best.skill_interval) or (None, None)
    kind = "kept" if target.jobs else "dropped"
    return Estimate(
        label=f"{target.rank}. {target.name}" if target.rank else target.name,
        value=best.skill if best else None,
        low=low,
        high=high,
        kind=kind,
        note=target.not_trained[0] if target.not_trained else target.reason,
        href=target_link(plan, target.name) if plan else "",
    )


def _way(target: TargetTold, jobs: Counter[tuple[str, str]], plan: str | None) -> Way:
    chosen = next(iter(target.selections), None)
    known = None if chosen is None or chosen.left_out is None else len(chosen.features) + chosen.left_out
    return Way(
        label=target.name,
        jobs=jobs,
        features=None if chosen is None else len(chosen.features),
        features_known=known,
        blocked=len({leak.feature for leak in target.leaks if leak.verdict == "BLOCKED"}),
        title=target.routes[0].reason if target.routes else "",
        href=target_link(plan, target.name) if plan else "",
    )
