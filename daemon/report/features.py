"""The features that were selected for each target, and how stable the choice was over the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.pictures.drawing import NOTHING
from daemon.pictures.scores import bars
from daemon.report.blocks import Block, Cell, Figure, Heading, Section, Table, Words, rest
from daemon.report.material import Material
from daemon.report.numbers import CODE, compact, event, events, listed
from daemon.views.foreign import finite
from daemon.views.words import counted, share_words
from store.records import DecisionRow, JobRow

CELLS_DETAILED = 10  # (target, symbol) with a table of their own
FEATURES_LISTED = 20  # of each of these
CELLS_LISTED = 60
NOT_RECORDED = "not recorded"


def features_section(material: Material) -> Section:
    """The section on features."""
    chosen = {
        (row.target, row.symbol): row
        for row in material.decided.get("FeaturesSelected", ())
        if row.target in set(material.targets)
    }
    blocks: list[Block] = [Words(text=_lead(material, chosen))]
    if not chosen:
        blocks.append(_of_the_plan(material))
        return Section(key="features", title="Features", blocks=blocks, source=_source(material, chosen))
    pooled_first = sorted(chosen.values(), key=lambda row: (_place(material, row), row.symbol or ""))
    for row in pooled_first[:CELLS_DETAILED]:
        blocks += _detailed(row)
    if len(pooled_first) > CELLS_DETAILED:
        blocks.append(_others(pooled_first[CELLS_DETAILED:]))
    return Section(
        key="features",
        title="Features: what was selected, and how stable that is",
        blocks=blocks,
        source=_source(material, chosen),
    )


def _place(material: Material, row: DecisionRow) -> tuple[bool, int]:
    """All targets of all symbols come before single symbols."""
    targets = list(material.targets)
    return row.symbol is not None, targets.index(row.target) if row.target in targets else len(targets)


def _lead(material: Material, chosen: Mapping[Any, DecisionRow]) -> str:
    if not chosen and material.planning is None:
        return (
            "The selection is not in this log: the plan was made elsewhere. What the plan says of each job "
            "follows; how stable the choice was is not known."
        )
    if not chosen:
        return "No selection was made: each job takes the features that were named, or all there are."
    return (
        "Features were chosen anew in each fold of the older data. The share of folds that chose a feature, "
        "or one that says the same, is its stability: near 100 % the choice does not hang on the time it "
        "was made in. The weight is its share of importance, mean over methods and folds."
    )


def _detailed(row: DecisionRow) -> list[Block]:
    data = row.data
    steadiness, weights = data.get("steadiness") or {}, data.get("weights") or {}
    features: Sequence[str] = data["features"]
    shown = features[:FEATURES_LISTED]
    blocks: list[Block] = [Heading(text=_title(row)), Words(text=_counts(row))]
    blocks += _weights_picture(row, [(name, finite(weights.get(name)), None) for name in shown])
    because: Mapping[str, str] = data.get("because") or {}
    tail = _shared_tail([because[name] for name in features if name in because])
    if tail:
        blocks.append(Words(text=f"All together: {tail.removeprefix('; ')}."))
    table = Table(
        caption="Selected, the most important first",
        headers=("#", "feature", "stability", "weight", "why"),
        right=("#", "stability", "weight"),
        wide=("why",),
        rows=[
            (
                place,
                Cell(text=name, kind=CODE),
                _steady(steadiness.get(name)),
                compact(weights.get(name)),
                because.get(name, NOT_RECORDED).removesuffix(tail),
            )
            for place, name in enumerate(shown, start=1)
        ],
        left_out=rest(len(features) - len(shown), "selected features", "trainwright why TARGET/FEATURE"),
    )
    return [*blocks, table, *_left_out(features, because)]


def _title(row: DecisionRow) -> str:
    return f"{row.target}" if row.symbol is None else f"{row.target} of {row.symbol}"


def _counts(row: DecisionRow) -> str:
    data = row.data
    said = f"{len(data['features'])} of {len(data['features']) + data['left_out']} features selected"
    folds, jaccard = data.get("folds"), finite(data.get("jaccard"))
    if folds:
        said += f" over {counted(folds, 'fold')}"
    if jaccard is not None:
        said += f"; two folds share {share_words(jaccard)} of what either chose"
    return f"{said} (event #{row.seq})."


def _shared_tail(reasons: Sequence[str]) -> str:
    """What all reasons end in behind their last semicolon; "" where they do not."""
    tails = {"".join(reason.rpartition(";")[1:]) for reason in reasons if ";" in reason}
    return tails.pop() if len(tails) == 1 and all(";" in reason for reason in reasons) else ""


def _steady(share: object) -> str:
    known = finite(share)
    return NOT_RECORDED if known is None else share_words(known)


def _weights_picture(row: DecisionRow, weights: Sequence[tuple[str, float | None, None]]) -> list[Block]:
    picture = bars(weights, label=f"weight of the features of {_title(row)}")
    if picture == NOTHING:
        return []
    return [Figure(pictures=[picture], caption="Weight of each selected feature: its share of importance.")]


def _left_out(features: Sequence[str], because: Mapping[str, str]) -> list[Block]:
    """The features that were not selected, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for name, reason in because.items():
        if name not in features:
            reasons.setdefault(reason, []).append(name)
    if not reasons:
        return []
    ordered = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Table(
            caption="Not selected",
            headers=("features", "which", "why"),
            right=("features",),
            wide=("which", "why"),
            rows=[(len(names), listed(names, 6), reason) for reason, names in ordered[:FEATURES_LISTED]],
            left_out=rest(len(ordered) - FEATURES_LISTED, "reasons", "trainwright why TARGET/FEATURE"),
        )
    ]


def _others(rows: Sequence[DecisionRow]) -> Table:
    return Table(
        caption="Other selections",
        headers=("target", "symbol", "selected", "left out", "the first", "event"),
        right=("selected", "left out"),
        wide=("the first",),
        rows=[
            (
                row.target,
                row.symbol or "all",
                len(row.data["features"]),
                row.data["left_out"],
                listed(row.data["features"], 5),
                event(row.seq),
            )
            for row in rows[:CELLS_LISTED]
        ],
        left_out=rest(len(rows) - CELLS_LISTED, "selections", "trainwright why TARGET"),
    )


def _of_the_plan(material: Material) -> Table:
    jobs: Sequence[JobRow] = material.jobs[:CELLS_LISTED]
    return Table(
        caption="Features of the jobs",
        headers=("job", "features", "the first"),
        right=("features",),
        wide=("the first",),
        rows=[(job.job_id, _count(job), listed(job.record.get("features"), 6)) for job in jobs],
        left_out=rest(len(material.jobs) - len(jobs), "jobs", "trainwright plan show"),
    )


def _count(job: JobRow) -> str:
    features = job.record.get("features")
    return str(len(features)) if isinstance(features, list) else "all"


def _source(material: Material, chosen: Mapping[Any, DecisionRow]) -> str:
    if not chosen:
        return f"the plan as it was accepted, event #{material.accepted.seq}"
    seqs = [row.seq for row in chosen.values()]
    return events(seqs, "FeaturesSelected")
