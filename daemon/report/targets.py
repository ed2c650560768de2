"""What was ranked and why: targets that are trained, and those that are not with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.pictures.drawing import NOTHING
from daemon.report.blocks import Block, Cell, Figure, Section, Table, Value, Words, rest
from daemon.report.material import Material
from daemon.report.numbers import BAD, GOOD, compact, event, events
from daemon.views.foreign import finite
from daemon.views.plan_drawn import ranking_drawn
from daemon.views.words import counted, score_words
from store.records import DecisionRow

TARGETS_DRAWN = 40
TARGETS_LISTED = 100
REASONS_LISTED = 4  # of one target that is not trained
WHERE_ALL = "trainwright why TARGET has each of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One target as it was ranked.

    Attributes:
        pooled: the verdict on all symbols together, None where there is none.
        alone: how many symbols have it kept on their own, of how many.
        is_trained: whether the plan has a job for it.
        why_not: what the plan says beyond the ranking of why it has none.
    """

    target: str
    pooled: DecisionRow | None
    alone: tuple[int, int]
    is_trained: bool
    why_not: Sequence[str] = ()

    @property
    def rank(self) -> int | None:
        """Its place among all targets with skill, where the planning said it."""
        return None if self.pooled is None else self.pooled.data.get("rank")

    @property
    def has_skill(self) -> bool:
        """Whether anything of it passed every test of skill."""
        return bool(self.alone[0]) or (self.pooled is not None and bool(self.pooled.data["kept"]))


def standings(material: Material) -> tuple[Standing, ...]:
    """Return all targets the planning or the plan speaks of: the trained in plan order, then by rank."""
    pooled: dict[str, DecisionRow] = {}
    alone: dict[str, list[bool]] = {}
    told: dict[str, set[str]] = {}
    for row in material.decided.get("TargetRanked", ()):
        name = row.target or ""
        told.setdefault(name, set()).add(f"{row.symbol or 'all symbols'}: {row.data['reason']}")
        if row.symbol is None:
            pooled[name] = row
        else:
            alone.setdefault(name, []).append(bool(row.data["kept"]))
    trained = dict.fromkeys(material.targets)
    others = sorted(
        {*pooled, *alone, *material.blocked} - set(trained), key=lambda name: _order(pooled, name)
    )
    return tuple(
        Standing(
            target=name,
            pooled=pooled.get(name),
            alone=(sum(alone.get(name, ())), len(alone.get(name, ()))),
            is_trained=name in trained,
            why_not=[why for why in material.blocked.get(name, ()) if why not in told.get(name, ())],
        )
        for name in (*trained, *others)
    )


def _order(pooled: Mapping[str, DecisionRow], name: str) -> tuple[float, float, str]:
    """By rank, then by how far the score lies above no skill, then by name."""
    data = pooled[name].data if name in pooled else {}
    score = finite(data.get("score"))
    above = -9.0 if score is None else score - _no_skill(data.get("metric") or "")
    return finite(data.get("rank")) or float("inf"), -above, name


def ranked_section(material: Material, found: Sequence[Standing]) -> Section:
    """The section on targets."""
    trained = [one for one in found if one.is_trained]
    dropped = [one for one in found if not one.is_trained]
    blocks: list[Block] = [Words(text=_lead(material, found))]
    blocks += _picture(material)
    if trained:
        blocks.append(_trained_table(trained))
    if dropped:
        blocks.append(_dropped_table(dropped))
    return Section(
        key="targets", title="Targets: what was ranked, and why", blocks=blocks, source=_source(material)
    )


def _lead(material: Material, found: Sequence[Standing]) -> str:
    trained = sum(one.is_trained for one in found)
    said = f"{counted(len(found), 'target')} in all: {trained} trained, {len(found) - trained} not. "
    if material.planning is None:
        return said + (
            "The ranking itself is not in this log: the plan was made elsewhere, or by hand. "
            "What follows stands in the plan."
        )
    return said + (
        "Each target was screened on the older part of the data, in folds that go forward in time; the "
        "newest part was not looked at. A target is kept where its score cannot be explained by luck, all "
        "screens counted (q is the false discovery rate)."
    )


def _picture(material: Material) -> list[Block]:
    picture = ranking_drawn(material.told.targets, limit=TARGETS_DRAWN)
    if picture == NOTHING:
        return []
    caption = (
        "Skill above none, with the 95 % interval: of all symbols together where that was measured, else of "
        "the best symbol; an AUC counts twice above one half. Filled: trained. Hollow: not trained, for the "
        "reasons below."
    )
    return [Figure(pictures=[picture], caption=caption)]


def _no_skill(metric: str) -> float:
    return 0.5 if metric.startswith("auc") else 0.0


def _trained_table(trained: Sequence[Standing]) -> Table:
    return Table(
        caption="Trained",
        headers=("#", "target", "metric", "score", "q", "symbols alone", "why", "event"),
        right=("#", "score", "q"),
        wide=("why",),
        rows=[
            (place, Cell(text=one.target, kind=GOOD if one.has_skill else ""), *_measured(one))
            for place, one in enumerate(trained[:TARGETS_LISTED], start=1)
        ],
        left_out=rest(len(trained) - TARGETS_LISTED, "trained targets", WHERE_ALL),
    )


def _measured(one: Standing) -> tuple[str | Cell, ...]:
    kept, asked = one.alone
    alone = f"{kept} of {asked}" if asked else "-"
    if one.pooled is None:
        return "-", "-", "-", alone, "the log has no verdict on all symbols together", event(None)
    data = one.pooled.data
    score = score_words(finite(data["score"]), finite(data["standard_error"]))
    return (
        data.get("metric") or "-",
        score,
        compact(data["q"]),
        alone,
        data["reason"],
        event(one.pooled.seq),
    )


def _dropped_table(dropped: Sequence[Standing]) -> Table:
    return Table(
        caption="Not trained",
        headers=("rank", "target", "score", "q", "skill", "symbols alone", "why not", "event"),
        right=("rank", "score", "q"),
        wide=("why not",),
        rows=[_dropped_row(one) for one in dropped[:TARGETS_LISTED]],
        left_out=rest(len(dropped) - TARGETS_LISTED, "targets that are not trained", WHERE_ALL),
    )


def _dropped_row(one: Standing) -> tuple[Value, ...]:
    data = one.pooled.data if one.pooled is not None else {}
    kept, asked = one.alone
    score = score_words(finite(data.get("score")), finite(data.get("standard_error")))
    has_skill = Cell(text="yes", kind=GOOD) if one.has_skill else Cell(text="no", kind=BAD)
    known = one.pooled is not None or one.alone[1] > 0
    return (
        one.rank,
        one.target,
        score,
        compact(data.get("q")),
        has_skill if known else "-",
        f"{kept} of {asked}" if asked else "-",
        _reasons(one),
        event(one.pooled.seq if one.pooled else None),
    )


def _reasons(one: Standing) -> str:
    """Why it is not trained: what the plan says, and the ranking where that found no skill."""
    reasons = list(one.why_not)
    if one.pooled is not None and not (reasons and one.has_skill):
        reasons.append(str(one.pooled.data["reason"]))
    more = f"; and {len(reasons) - REASONS_LISTED} more reasons" if len(reasons) > REASONS_LISTED else ""
    return "; ".join(reasons[:REASONS_LISTED]) + more if reasons else "nobody wrote down why"


def _source(material: Material) -> str:
    if material.planning is None:
        return f"the plan as it was accepted, event #{material.accepted.seq}"
    seqs = [row.seq for row in material.decided.get("TargetRanked", ())]
    reasons = f"reasons: the plan, event #{material.accepted.seq}"
    told = (f"planning {material.planning_words}", events(seqs, "TargetRanked"), reasons)
    return "; ".join(filter(None, told))
