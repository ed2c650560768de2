"""A plan as people ask about it: targets ranked, those left out and why, leaks, features, routes.

The decisions are read from the log; of a plan that was made elsewhere its own document has to do. A plan does
not change, so what is told of it holds at any moment behind its acceptance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, ClassVar

from daemon.views.foreign import finite, mapping, texts
from daemon.views.plan_facts import Leak, PlanTold, Routed, Scored, Selection, TargetTold
from store.plan import ROUTE_BLOCKED
from store.reading import Reader
from store.records import EventRow, JobRow, PlanRow

Decision = tuple[str, int | None, Mapping[str, Any]]  # kind, seq of its event if there is one, payload
DECISIONS = ("TargetRanked", "LeakFound", "FeaturesSelected", "RouteChosen")
PAGE = 1000
PLANNINGS_LOOKED_AT = 200  # the newest before the acceptance
OF_STREAM = "planning-"


@lru_cache(maxsize=8)
def known_plan(reader: Reader, plan_id: str) -> PlanTold:
    """Return the same as `plan_told`, remembered: but for the counts of its fits a plan does not change."""
    return plan_told(reader, plan_id)


def plan_told(reader: Reader, plan_id: str) -> PlanTold:
    """Return what was decided on the way to an accepted plan; raises NotFound for one nobody knows."""
    row = reader.plan_row(plan_id)
    found = reader.events(plan=plan_id, kinds=("PlanAccepted",), limit=1)
    accepted = found[0] if found else None
    header = dict(accepted.data["header"]) if accepted else {}
    jobs = reader.jobs(plan_id)
    started, linked = _planning(reader, row, accepted)
    decisions = _Decisions(_decisions(reader, started, accepted) if started and accepted else ())
    if not decisions.routes:
        decisions = _Decisions(_of_jobs(jobs))
    return PlanTold(
        plan=row,
        planning=None if started is None else started.stream.removeprefix(OF_STREAM),
        linked=linked,
        decided_at=None if started is None else started.at,
        metadata=header.get("metadata") or {},
        targets=tuple(_targets(decisions, jobs, mapping(header.get("blocked")))),
        job_kinds=_job_kinds(jobs),
    )


def targets_document(told: PlanTold) -> dict[str, Any]:
    """The targets of a plan with their scores, for programs."""
    left = ("leaks", "selections", "routes")
    targets = [
        {key: value for key, value in asdict(target).items() if key not in left} for target in told.targets
    ]
    return _head(told) | {"targets": targets}


def leaks_document(told: PlanTold) -> dict[str, Any]:
    """The leaks that were found, for programs."""
    return _head(told) | {"leaks": [asdict(leak) for leak in told.leaks]}


def features_document(told: PlanTold) -> dict[str, Any]:
    """The features that were selected, for programs."""
    rows = [{"target": target.name, **asdict(one)} for target in told.targets for one in target.selections]
    return _head(told) | {"features": rows}


def routes_document(told: PlanTold) -> dict[str, Any]:
    """The routes that were chosen, for programs."""
    rows = [{"target": target.name, **asdict(one)} for target in told.targets for one in target.routes]
    return _head(told) | {"routes": rows}


def _head(told: PlanTold) -> dict[str, Any]:
    return {
        "plan": told.plan.id,
        "planning": told.planning,
        "linked": told.linked,
        "decided_at": told.decided_at,
    }


def _planning(reader: Reader, row: PlanRow, accepted: EventRow | None) -> tuple[EventRow | None, bool]:
    """The start of the planning that a plan came from, and whether the log says so itself."""
    if accepted is None:
        return None, False
    kinds = ("PlanningStarted", "PlanningFinished")
    events = reader.newest_events(kinds, until=accepted.seq, limit=2 * PLANNINGS_LOOKED_AT)
    started = {event.stream: event for event in events if event.kind == "PlanningStarted"}
    own = started.get(f"{OF_STREAM}{accepted.correlation}")
    if own is not None:
        return own, True
    ended = {event.stream: event.data.get("jobs") for event in events if event.kind == "PlanningFinished"}
    alike = [
        event
        for stream, event in started.items()
        if row.panel_key is not None
        and event.data.get("panel_key") == row.panel_key
        and ended.get(stream) == row.jobs
    ]
    return (alike[-1] if alike else None), False


def _decisions(reader: Reader, started: EventRow, accepted: EventRow) -> Iterator[Decision]:
    """The decisions of one planning, a page at a time: their reasons are many and are not all kept."""
    after = started.seq
    while page := reader.events(after=after, kinds=DECISIONS, limit=PAGE):
        for event in page:
            if event.seq > accepted.seq:
                return
            if event.stream == started.stream:
                yield event.kind, event.seq, event.data
        after = page[-1].seq


def _of_jobs(jobs: Sequence[JobRow]) -> Iterator[Decision]:
    """What the jobs of a plan say of the decisions behind them."""
    for job in jobs:
        record, metadata = job.record, mapping(job.record.get("metadata"))
        who = {"target": job.target, "symbol": job.symbol}
        yield "RouteChosen", None, {**who, "route": job.route, "reason": job.reason}
        score, error = (finite(metadata.get(name)) for name in ("score", "standard_error"))
        if score is not None:
            said = {"metric": metadata.get("metric"), "score": score, "standard_error": error}
            yield "TargetRanked", None, {**who, **said, "kept": True, "reason": job.reason}
        if record.get("features"):
            yield "FeaturesSelected", None, {**who, "features": record["features"]}
        for feature in texts(record.get("blocked_features")):
            yield "LeakFound", None, {**who, "feature": feature, "verdict": "BLOCKED"}


class _Decisions:
    """Decisions by the target they are about; what an older log does not say is None or empty."""

    def __init__(self, decisions: Iterable[Decision]) -> None:
        self.scored: dict[str, list[Scored]] = defaultdict(list)
        self.leaks: dict[str, dict[tuple[str, str], Leak]] = defaultdict(dict)
        self.selections: dict[str, list[Selection]] = defaultdict(list)
        self.routes: dict[str, list[Routed]] = defaultdict(list)
        self.ranks: dict[str, int | None] = {}
        for kind, seq, data in decisions:
            take = self._taking[kind]
            take(self, str(data["target"]), seq, data)

    def _score(self, target: str, seq: int | None, data: Mapping[str, Any]) -> None:
        known = {name: data.get(name) for name in ("score", "standard_error", "low", "high", "p", "q")}
        self.scored[target].append(
            Scored(
                symbol=data.get("symbol"),
                metric=str(data.get("metric") or ""),
                kept=bool(data.get("kept")),
                reason=str(data.get("reason") or ""),
                seq=seq,
                **known,
            )
        )
        self.ranks[target] = self.ranks.get(target) or data.get("rank")

    def _leak(self, target: str, seq: int | None, data: Mapping[str, Any]) -> None:
        feature, probe = str(data["feature"]), str(data.get("probe") or "")
        self.leaks[target].setdefault(
            (feature, probe),
            Leak(
                target=target,
                feature=feature,
                verdict=str(data.get("verdict") or ""),
                probe=probe,
                evidence=str(data.get("evidence") or ""),
                seq=seq,
            ),
        )

    def _selection(self, target: str, seq: int | None, data: Mapping[str, Any]) -> None:
        features, left_out = tuple(map(str, data["features"])), data.get("left_out")
        self.selections[target].append(
            Selection(symbol=data.get("symbol"), features=features, left_out=left_out, seq=seq)
        )

    def _route(self, target: str, seq: int | None, data: Mapping[str, Any]) -> None:
        self.routes[target].append(
            Routed(
                symbol=data.get("symbol"),
                route=str(data.get("route") or ""),
                reason=str(data.get("reason") or ""),
                seq=seq,
            )
        )

    _taking: ClassVar[Mapping[str, Callable[[_Decisions, str, int | None, Mapping[str, Any]], None]]] = {
        "TargetRanked": _score,
        "LeakFound": _leak,
        "FeaturesSelected": _selection,
        "RouteChosen": _route,
    }


def _targets(decisions: _Decisions, jobs: Sequence[JobRow], blocked: Mapping[str, Any]) -> list[TargetTold]:
    """Every target that anybody spoke of: by rank, then those kept without one, then the others by skill."""
    counts = Counter(job.target for job in jobs if job.route != ROUTE_BLOCKED)
    fits = Counter[str]()
    for job in jobs:
        fits[job.target] += len(job.record.get("model_families") or ())
    names = dict.fromkeys([*decisions.scored, *decisions.routes, *counts, *blocked, *decisions.leaks])
    ranks = _ranks(decisions)
    found = [
        _target(name, decisions, ranks.get(name), counts[name], fits[name], texts(blocked.get(name)))
        for name in names
    ]
    return sorted(found, key=_place)


def _target(
    name: str,
    decisions: _Decisions,
    rank: int | None,
    jobs: int,
    fits: int,
    blocked: Sequence[str],
) -> TargetTold:
    scored = tuple(sorted(decisions.scored[name], key=lambda one: (one.symbol is not None, one.symbol or "")))
    routes = tuple(decisions.routes[name])
    refused = (one.reason for one in routes if one.route == ROUTE_BLOCKED and one.symbol is None)
    pooled = next((one for one in scored if one.symbol is None), None)
    return TargetTold(
        name=name,
        rank=rank,
        kept=any(one.kept for one in scored) if scored else jobs > 0,
        jobs=jobs,
        fits=fits,
        reason=pooled.reason if pooled else _first_reason(scored, routes),
        scored=scored,
        leaks=tuple(decisions.leaks[name].values()),
        selections=tuple(decisions.selections[name]),
        routes=routes,
        not_trained=() if jobs else tuple(blocked) or tuple(refused),
    )


def _first_reason(scored: Sequence[Scored], routes: Sequence[Routed]) -> str:
    return next(iter([*(one.reason for one in scored), *(one.reason for one in routes)]), "")


def _ranks(decisions: _Decisions) -> dict[str, int]:
    """The rank of each target that was kept; where an older log is silent, by the rule of the planner."""
    said = {target: rank for target, rank in decisions.ranks.items() if rank is not None}
    if said:
        return said
    best: dict[str, float] = {}
    for target, rows in decisions.scored.items():
        lows = [one.skill_interval[0] for one in rows if one.kept and one.skill_interval is not None]
        if lows:
            best[target] = max(lows)
    ordered = sorted(best, key=lambda target: (-best[target], target))
    return {target: place for place, target in enumerate(ordered, start=1)}


def _place(target: TargetTold) -> tuple[object, ...]:
    best = target.best
    skill = best.skill if best is not None and best.skill is not None else None
    return (
        target.rank is None,
        target.rank or 0,
        not target.kept,
        skill is None,
        -(skill or 0.0),
        target.name,
    )


def _job_kinds(jobs: Sequence[JobRow]) -> tuple[tuple[str, str, str, int], ...]:
    counts = Counter((job.target, job.training_type, job.route) for job in jobs)
    return tuple((*kind, count) for kind, count in counts.items())
