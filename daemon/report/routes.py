"""The routes: for which targets there is one model of all symbols, one for each, or both, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from daemon.pictures.drawing import NOTHING
from daemon.report.blocks import Block, Figure, Section, Table, Value, Words, rest
from daemon.report.material import Material
from daemon.report.numbers import event, events, listed
from daemon.views.plan_drawn import routes_drawn
from daemon.views.words import counted, route_words
from store.records import DecisionRow

TARGETS_LISTED = 60
BLOCKED = "ROUTE_BLOCKED"
MEANING = {
    "ROUTE_CROSS_SECTIONAL": "one model of all symbols",
    "ROUTE_SYMBOL_SPECIFIC": "a model of each symbol alone",
    "ROUTE_BOTH": "both models, and a blend of the two",
    "ROUTE_EXPERIMENTAL_ONLY": "a trial of the lowest priority",
    BLOCKED: "nothing is trained",
}


def routes_section(material: Material) -> Section:
    """The section on routes."""
    blocks: list[Block] = [Words(text=_lead(material)), *_picture(material), _jobs_table(material)]
    pooled, alone = _decided(material)
    if pooled:
        blocks.append(_decisions_table(pooled, alone))
    return Section(
        key="routes", title="Routes: from targets to jobs", blocks=blocks, source=_source(material)
    )


def _lead(material: Material) -> str:
    jobs, fits = len(material.jobs), len(material.fits)
    return (
        "A target can be foretold by one model of all symbols, by a model of each symbol alone, or by both, "
        "blended. Which of them follows from what was measured: whether the law holds for all, and whether a "
        f"symbol has one of its own. The plan has {counted(jobs, 'job')} with {counted(fits, 'fit')}, a fit "
        "being one model family trained for one job."
    )


def _picture(material: Material) -> list[Block]:
    picture = routes_drawn(material.told, links=False)
    if picture == NOTHING:
        return []
    caption = "From targets over their features and routes to jobs; those that are not trained end at once."
    return [Figure(pictures=[picture], caption=caption)]


def _jobs_table(material: Material) -> Table:
    counts = Counter((job.route, job.training_type) for job in material.jobs)
    return Table(
        caption="Jobs by route",
        headers=("route", "what is trained", "jobs", "targets", "families"),
        right=("jobs", "targets"),
        rows=[_route_row(material, route, kind, count) for (route, kind), count in counts.most_common()],
    )


def _route_row(material: Material, route: str, kind: str, count: int) -> tuple[Value, ...]:
    own = {job.job_id: job.target for job in material.jobs if (job.route, job.training_type) == (route, kind)}
    families = dict.fromkeys(fit.family for fit in material.fits if fit.job_id in own)
    return (
        route_words(route),
        f"{MEANING.get(route, 'as the plan says')} ({kind.replace('_', ' ')})",
        count,
        len(set(own.values())),
        listed(list(families), 5),
    )


def _decided(material: Material) -> tuple[list[DecisionRow], dict[str, list[DecisionRow]]]:
    """The choices for all symbols, and those for single ones by target."""
    pooled, alone = [], dict[str, list[DecisionRow]]()
    for row in material.decided.get("RouteChosen", ()):
        if row.target not in set(material.targets):
            continue
        if row.symbol is None:
            pooled.append(row)
        else:
            alone.setdefault(row.target or "", []).append(row)
    return pooled, alone


def _decisions_table(pooled: Sequence[DecisionRow], alone: dict[str, list[DecisionRow]]) -> Table:
    return Table(
        caption="Why, by target",
        headers=("target", "all symbols", "single symbols", "why", "event"),
        wide=("single symbols", "why"),
        rows=[
            (
                row.target,
                route_words(row.data["route"]),
                _counts(alone.get(row.target or "", ())),
                row.data["reason"],
                event(row.seq),
            )
            for row in pooled[:TARGETS_LISTED]
        ],
        left_out=rest(len(pooled) - TARGETS_LISTED, "targets", "trainwright why TARGET"),
    )


def _counts(rows: Sequence[DecisionRow]) -> str:
    """How many symbols took each route, with the first of their names."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row.data["route"], []).append(row.symbol or "")
    told = [f"{route_words(route)} {listed(names, 5)}" for route, names in sorted(groups.items())]
    return "; ".join(told) or "none asked for"


def _source(material: Material) -> str:
    seqs = [row.seq for row in material.decided.get("RouteChosen", ())]
    planned = f"the plan as it was accepted, event #{material.accepted.seq} and those behind it (JobPlanned)"
    return "; ".join(filter(None, (planned, events(seqs, "RouteChosen"))))
