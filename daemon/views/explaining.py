"""Why: the reasons behind a fit, a job, a target or a feature, from the log; in words and as a document."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.views.feature_told import FeatureTold, feature_document, feature_told, feature_words
from daemon.views.fits import score_words
from daemon.views.foreign import mapping
from daemon.views.waiting import Watch
from daemon.views.words import moment, names_words
from store.awaited import awaited_ids
from store.errors import NotFound
from store.reading import Reader
from store.reasons import WaitingReason
from store.records import DecisionRow, FitRow

FEATURES_SHOWN = 12
LINES_OF_A_KIND = 12  # of the decisions about a target, which may have hundreds of symbols
FIT_ID_PREFIX = "f_"
NAMES_COMPARED = 10_000  # with a name nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyTold:
    """What is known behind a name.

    Attributes:
        name: as it was asked for.
        target: the target it is about.
        feature: what became of one feature of the target, where one was asked for.
        decisions: of the newest planning that spoke of the target, oldest first.
        jobs: the payloads of `JobPlanned`, in plan order.
        fits: of the newest plan that has them.
        reasons: why fits wait, by their id.
        parts: the fits that each is made from, by its id.
    """

    name: str
    target: str
    feature: FeatureTold | None
    decisions: tuple[DecisionRow, ...]
    jobs: tuple[Mapping[str, Any], ...]
    fits: tuple[FitRow, ...]
    reasons: Mapping[str, WaitingReason]
    parts: Mapping[str, tuple[FitRow, ...]]


def why(reader: Reader, name: str, *, feature: str | None = None, watch: Watch | None = None) -> WhyTold:
    """Return what is known behind a fit (an id, or JOB/Family), a job, a target, or TARGET/FEATURE.

    Raises:
        NotFound: nothing of that name was decided or planned; names the nearest.
    """
    if feature is None and "/" in name and not _is_fit(reader, name):
        head, _, rest = name.partition("/")
        if reader.newest_planning(head) is not None:
            name, feature = head, rest
        elif _is_left_out(reader, head, rest):
            name = head  # the job says why it goes without that family
    fits = _fits_of(reader, name)
    target = fits[0].target if fits else name
    decisions = _latest(reader, target)
    if feature is not None and decisions:
        told = feature_told(target, feature, decisions)
        return WhyTold(
            name=f"{name}/{feature}", target=target, feature=told, decisions=(), jobs=(), fits=(),
            reasons={}, parts={},
        )  # fmt: skip
    if not fits and not decisions:
        raise _nothing(reader, name)
    watch = watch or Watch(reader) if fits else None
    return WhyTold(
        name=name,
        target=target,
        feature=None,
        decisions=decisions,
        jobs=_jobs_of(reader, fits),
        fits=fits,
        reasons=watch.reasons(fits) if watch else {},
        parts=_parts_of(reader, fits),
    )


def why_lines(told: WhyTold) -> Iterator[tuple[str, str]]:
    """The whole answer as lines of a label and words; a line without a label goes on with the one before."""
    if told.feature is not None:
        yield from feature_words(told.feature)
        return
    yield from _decision_lines(told.target, told.decisions)
    for row in told.jobs:
        yield "job", f"{row['job']}: {row['reason']}"
        for family, reason in left_out_families(row).items():
            yield "", f"without {family}: {reason}"
    for fit in told.fits:
        yield "fit", f"{fit.name}: {fit_words(fit, told.reasons)}"
        if told.parts[fit.id]:
            made = names_words([f"{part.name} {part.state}" for part in told.parts[fit.id]])
            yield "", f"made from {made}"


def why_document(told: WhyTold) -> dict[str, Any]:
    """The same for programs, with the events' own payloads."""
    if told.feature is not None:
        return {"name": told.name, "target": told.target, "feature": feature_document(told.feature)}
    return {
        "name": told.name,
        "decisions": [
            {"seq": row.seq, "at": row.at, "kind": row.kind, "symbol": row.symbol, "data": row.data}
            for row in told.decisions
        ],
        "jobs": [
            {
                "job": row["job"],
                "reason": row["reason"],
                "route": row["route"],
                "left_out": left_out_families(row),
            }
            for row in told.jobs
        ],
        "fits": [
            {
                "fit": fit.name,
                "state": fit.state,
                "words": fit_words(fit, told.reasons),
                "made_from": {part.name: part.state for part in told.parts[fit.id]},
            }
            for fit in told.fits
        ],
    }


def fit_words(fit: FitRow, reasons: Mapping[str, WaitingReason]) -> str:
    """How a fit stands and why, in one sentence."""
    if fit.id in reasons:
        state = "waiting" if fit.state == "ready" else fit.state
        return f"{state}, {reasons[fit.id].code}: {reasons[fit.id].words}"
    if fit.state == "succeeded" and fit.metrics is not None and "baseline_score" in fit.metrics:
        return f"succeeded, {score_words(fit)} out of sample, naive {fit.metrics['baseline_score']:+.3f}"
    where = f" ({fit.place.splitlines()[0]})" if fit.place else ""
    return f"{fit.state}: {fit.sentence}{where}" if fit.sentence else fit.state


def left_out_families(row: Mapping[str, Any]) -> Mapping[str, str]:
    """The families that the planner left out of a job, with their reasons, from `JobPlanned`'s payload."""
    left_out = mapping(mapping(row["record"].get("metadata")).get("families_left_out"))
    return {name: str(reason) for name, reason in left_out.items()}


def _is_fit(reader: Reader, name: str) -> bool:
    job_id, _, family = name.rpartition("/")
    return bool(reader.fits(job=job_id, family=family, limit=1))


def _is_left_out(reader: Reader, job: str, family: str) -> bool:
    """Whether a job was planned without a family that somebody asks about."""
    rows = _jobs_of(reader, _newest(reader.fits(job=job)))
    return any(family.lower() == name.lower() for row in rows for name in left_out_families(row))


def _newest(fits: Sequence[FitRow]) -> tuple[FitRow, ...]:
    """Those of the newest plan among these."""
    return tuple(fit for fit in fits if fit.plan_id == fits[-1].plan_id)


def _fits_of(reader: Reader, name: str) -> tuple[FitRow, ...]:
    """The fits a name means: of a job, of a target, or one fit; the newest plan's only."""
    found = reader.fits(job=name) or reader.fits(target=name)
    if not found and ("/" in name or name.startswith(FIT_ID_PREFIX)):
        found = (reader.fit(name),)
    return _newest(found)


def _parts_of(reader: Reader, fits: Sequence[FitRow]) -> dict[str, tuple[FitRow, ...]]:
    known = {fit.id: fit for fit in fits}
    found = {}
    for fit in fits:
        ids = awaited_ids(fit.awaits)
        known |= {fit_id: reader.fit(fit_id) for fit_id in ids if fit_id not in known}
        found[fit.id] = tuple(known[fit_id] for fit_id in ids)
    return found


def _jobs_of(reader: Reader, fits: Sequence[FitRow]) -> tuple[Mapping[str, Any], ...]:
    events = [
        reader.events(plan=fits[-1].plan_id, job=job_id, kinds=("JobPlanned",), limit=1)
        for job_id in dict.fromkeys(fit.job_id for fit in fits)
    ]
    return tuple(event.data for found in events for event in found)


def _latest(reader: Reader, target: str) -> tuple[DecisionRow, ...]:
    """The decisions about a target of the newest planning that spoke of it."""
    newest = reader.newest_planning(target)
    return () if newest is None else reader.decisions(target, planning_id=newest)


def _nothing(reader: Reader, name: str) -> NotFound:
    """The names alone are asked for: the reasons of all plannings are very many."""
    known = {one for noun in ("target", "job") for one in reader.names(noun, limit=NAMES_COMPARED)}
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return NotFound(noun="target, job or fit", name=name, nearest=near[0] if near else None)


def _decision_lines(target: str, decisions: Sequence[DecisionRow]) -> Iterator[tuple[str, str]]:
    if not decisions:
        return
    yield "target", f"{target}   (decided {moment(decisions[-1].at)}, planning {decisions[-1].planning_id})"
    told = [(row.kind, decision_line(row)) for row in decisions]
    for kind in dict.fromkeys(kind for kind, _ in told):
        yield from _few([line for one, line in told if one == kind])


def _few(lines: Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The first lines, and how many more there are."""
    yield from lines[:LINES_OF_A_KIND]
    if len(lines) > LINES_OF_A_KIND:
        yield "", f"… and {len(lines) - LINES_OF_A_KIND} more: --json"


def decision_line(decision: DecisionRow) -> tuple[str, str]:
    """One decision of the planner: its label and its words."""
    data = decision.data
    who = decision.symbol or "all symbols"
    match decision.kind:
        case "TargetRanked":
            return "ranked", f"{who}: {data['reason']}"
        case "LeakFound":
            return "leak", f"{data['feature']} {data['verdict']} by {data['probe']}: {data['evidence']}"
        case "FeaturesSelected":
            shown = names_words(data["features"], FEATURES_SHOWN)
            counts = f"{len(data['features'])} selected, {data['left_out']} left out"
            return "features", f"{who}: {counts}: {shown}"
        case "RouteChosen":
            return "route", f"{who}: {data['route']}, {data['reason'].partition('; ')[0]}"
        case _:
            return decision.kind, str(dict(data))
