"""What the pages of plans show: bounded tables of targets, leaks and features, and how plans differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from daemon.pictures import Estimate, forest
from daemon.views.difference_words import comparison_parts
from daemon.views.filters import filter_text
from daemon.views.plan_compared import compared, plan_before
from daemon.views.plan_drawn import ranking_drawn, routes_drawn
from daemon.views.plan_facts import Leak, PlanTold, Scored, TargetTold
from daemon.views.plan_told import known_plan
from daemon.views.words import counts_words
from daemon.web.problems import Problem
from daemon.web.scene import Scene
from store.errors import NotFound
from store.filters import FitFilter
from store.reading import Reader
from store.records import FitRow, PlanRow

ROWS = 100  # of targets on one page
SHOWN = 60  # of leaks, and of targets that are not trained
LINES = 12  # of each part of a comparison
SYMBOLS_SHOWN = 60
FEATURES_SHOWN = 200
FITS_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a plan differs from another: the first lines of each part, and how many there are."""

    before: str
    equal: bool
    jobs_before: int
    jobs_after: int
    parts: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """What became of one feature of a target, for all symbols or one."""

    symbol: str | None
    place: int | None
    name: str
    because: str


def plan_values(scene: Scene, plan: PlanRow, against: str | None) -> dict[str, Any]:
    """Return what the page of a plan shows.

    Raises:
        Problem: there is no plan to compare it with of the name that was asked for.
    """
    told = known_plan(scene.site.reader, plan.id)
    offset = min(scene.view.offset, max(0, len(told.targets) - 1) // ROWS * ROWS)
    untrained = [target for target in told.targets if not target.jobs]
    page = told.targets[offset : offset + ROWS]
    return {
        "plan": plan,
        "standing": standing,
        "fits_link": fits_link,
        "told": told,
        "routes": routes_drawn(told),
        "ranking": ranking_drawn(page, plan=plan.id),
        "targets": page,
        "offset": offset,
        "rows": ROWS,
        "untrained": untrained[:SHOWN],
        "untrained_total": len(untrained),
        "leaks": _grouped(told.leaks)[:SHOWN],
        "leaks_total": len(_grouped(told.leaks)),
        "probed": told.planning is not None,
        "difference": _difference(scene, plan.id, against),
        "others": [row for row in scene.plans if row.id != plan.id][-SHOWN:][::-1],
    }


def target_values(scene: Scene, plan: PlanRow, name: str) -> dict[str, Any]:
    """Return what the page of one target of a plan shows.

    Raises:
        Problem: the plan says nothing of such a target.
    """
    told = known_plan(scene.site.reader, plan.id)
    target = next((target for target in told.targets if target.name == name), None)
    if target is None:
        fix = f"its targets: /plans/{plan.id}"
        raise Problem(404, f"the plan {plan.id} says nothing of a target {name[:80]!r}", fix=fix)
    chosen, left_out = _features(scene.site.reader, told, target)
    return {
        "plan": plan,
        "standing": standing,
        "fits_link": fits_link,
        "told": told,
        "target": target,
        "scored": target.scored[:SYMBOLS_SHOWN],
        "picture": _scores(target),
        "chosen": chosen[:FEATURES_SHOWN],
        "chosen_total": len(chosen),
        "left_out": left_out[:FEATURES_SHOWN],
        "left_out_total": len(left_out),
        "jobs": _jobs(scene, plan, target),
    }


def standing(plan: PlanRow) -> str:
    """How the fits of a plan stand, in words."""
    return counts_words(
        succeeded=plan.succeeded,
        failed=plan.failed,
        unavailable=plan.unavailable,
        cancelled=plan.cancelled,
        still_open=plan.open,
    )


def fits_link(plan: str, *, target: str | None = None, job: str | None = None) -> str:
    """Return the address of the fits of a plan, or of one target or job of it."""
    named = FitFilter(targets=(target,) if target else (), jobs=(job,) if job else ())
    said = filter_text(named)
    return f"/?{urlencode({'plan': plan, **({'q': said} if said else {})})}"


def _difference(scene: Scene, plan: str, against: str | None) -> Difference | None:
    """How a plan differs from the one asked for, else from the one before; None for the first."""
    reader = scene.site.reader
    before = against or plan_before(reader, plan)
    if before is None:
        return None
    try:
        found = compared(reader, before, plan)
    except NotFound as error:
        raise Problem(404, str(error), fix="all plans: /plans", nearest=error.nearest) from error
    parts = comparison_parts(found)
    return Difference(
        before=before,
        equal=found.equal,
        jobs_before=found.jobs_before,
        jobs_after=found.jobs_after,
        parts=parts if against else {label: lines[:LINES] for label, lines in parts.items()},
        counts={label: len(lines) for label, lines in parts.items()},
    )


def _jobs(scene: Scene, plan: PlanRow, target: TargetTold) -> dict[str, list[FitRow]]:
    """The fits of a target by their job, as they stand at the moment of the scene."""
    found: dict[str, list[FitRow]] = {}
    for fit in scene.reader.fits(plan=plan.id, target=target.name, limit=FITS_SHOWN):
        found.setdefault(fit.job_id, []).append(fit)
    return found


def _grouped(leaks: Sequence[Leak]) -> list[tuple[Leak, tuple[str, ...]]]:
    """Leaks by feature, verdict and probe, the blocked ones first, each with the targets it knows."""
    groups: dict[tuple[str, str, str], list[Leak]] = {}
    for leak in leaks:
        groups.setdefault((leak.feature, leak.verdict, leak.probe), []).append(leak)
    found = [(group[0], tuple(dict.fromkeys(leak.target for leak in group))) for group in groups.values()]
    return sorted(found, key=lambda one: (one[0].verdict != "BLOCKED", -len(one[1]), one[0].feature))


def _scores(target: TargetTold) -> Markup:
    """The scores of a target for all symbols and for each."""
    rows = [_estimate(one) for one in target.scored[:SYMBOLS_SHOWN] if one.score is not None]
    return forest(rows, reference_label="no skill", label=f"{target.name} by symbol")


def _estimate(one: Scored) -> Estimate:
    low, high = one.skill_interval or (None, None)
    kind = "kept" if one.kept else "dropped"
    return Estimate(
        label=one.symbol or "all symbols", value=one.skill, low=low, high=high, kind=kind, note=one.reason
    )


def _features(
    reader: Reader, told: PlanTold, target: TargetTold
) -> tuple[list[FeatureRow], list[FeatureRow]]:
    """The features of a target that were chosen, in their order, and those that were not, with reasons."""
    because: dict[str | None, Mapping[str, str]] = {}
    if told.planning is not None:
        for row in _decisions(reader, told.planning, target.name):
            because[row[0]] = row[1]
    chosen, left_out = [], []
    for selection in target.selections:
        reasons = because.get(selection.symbol, {})
        for place, name in enumerate(selection.features, 1):
            why = reasons.get(name, "")
            chosen.append(FeatureRow(symbol=selection.symbol, place=place, name=name, because=why))
        own = set(selection.features)
        left_out += [
            FeatureRow(symbol=selection.symbol, place=None, name=name, because=why)
            for name, why in reasons.items()
            if name not in own
        ]
    return chosen, left_out


def _decisions(reader: Reader, planning: str, target: str) -> list[tuple[str | None, Mapping[str, str]]]:
    rows = reader.decisions(target, planning_id=planning)
    chosen = (row for row in rows if row.kind == "FeaturesSelected")
    return [(row.symbol, row.data.get("because") or {}) for row in chosen]
