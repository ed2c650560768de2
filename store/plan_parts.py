"""Fits that are made from others, or learn further targets: what they await, from the words of a document.

    {"family": "Ensemble", "after": ["LightGBM", "XGBoost"]}        the members it is stacked from
    {"family": "MultiTask", "other_targets": ["y_range_5d"]}        the targets it learns beside its job's own

What a document does not say is filled in: an ensemble is made from all other CPU fits of its job, and several
targets are those that the plan trains in the same way, in its order. A job's `blend` is one more fit of the
job; a job of the older system that says `needs_cs_ensemble` without one is blended with all models that the
plan trains on all symbols for the same target. Nothing here is part of a plan's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from store.awaited import (
    MEMBERS_AT_LEAST,
    SIDE_AT_LEAST,
    Awaited,
    awaited_ids,
    short_group,
    shortage_words,
)
from store.plan import BLEND, FamilyEntry, Fit
from store.plan_input import rejected
from store.plan_needs import Needs, check_blend, known_as

OTHER_TARGETS_MAX = 7  # of one fit, beside its own
Record = Mapping[str, Any]


def blends_of(records: Sequence[Record]) -> dict[str, Record]:
    """Return what each job is blended from, by the job's id: as it says, or as the older system meant it."""
    pooled: dict[str, Record] = {}
    for record in records:
        if record["training_type"] == "cross_sectional" and record["model_families"]:
            pooled.setdefault(record["target"], record)
    found = {}
    for record in records:
        blend = record["blend"] if "blend" in record else _meant(record, pooled)
        if blend is not None:
            found[str(record["job_id"])] = blend
    return found


def _meant(record: Record, pooled: Mapping[str, Record]) -> Record | None:
    """Return the blend of a job that only says that it needs one; None where there is nothing to blend."""
    common = pooled.get(record["target"])
    needs = record["metadata"].get("needs_cs_ensemble") is True
    if not needs or common is None or not record["model_families"] or record["symbol"] is None:
        return None
    return {
        "parts": [f"{one['job_id']}/{name}" for one in (common, record) for name in one["model_families"]]
    }


@dataclass(slots=True, kw_only=True)
class Parts:
    """Puts together what the fits of one plan are made from, once all of them are known.

    Attributes:
        known: all fits of the plan but the blends, by job and family.
        needs: what the document says of fits that are made from others or learn further targets, by id.
    """

    family_of: Callable[[str], FamilyEntry]
    source: str
    records: Sequence[Record]
    known: dict[tuple[str, str], Fit] = field(default_factory=dict)
    needs: dict[str, Needs] = field(default_factory=dict)
    _targets: dict[tuple[str, str | None], list[str]] | None = None

    def note(self, fit: Fit, entry: FamilyEntry, needs: Needs) -> None:
        """Take a fit in; raises PlanRejected where the document says of it what its family cannot do."""
        self.known[fit.job_id, fit.family] = fit
        for name, able, why in (
            ("after", entry.stacks, "it is not made from other fits"),
            ("other_targets", entry.shares, "it learns one target"),
        ):
            if getattr(needs, name) is not None and not able:
                raise rejected(
                    self.source, f"{needs.place}.{name}", f"{fit.family}: {why}", f"Leave out {name}"
                )
        if entry.stacks or entry.shares:
            self.needs[fit.id] = needs

    def made(self, fit: Fit, record: Record, blend: Record | None, place: str) -> Fit:
        """Return a fit with what it is made from and learns beside its target; raises PlanRejected."""
        if fit.family == BLEND and blend is not None:
            return self._blend(fit, record, blend, f"{place}.blend")
        needs = self.needs.get(fit.id)
        if needs is None:
            return fit
        if self.family_of(fit.family).shares:
            return self._sharing(fit, record, needs)
        members = self._named_members(fit, needs) if needs.after is not None else self._members(fit, record)
        group = Awaited(fits=members, at_least=MEMBERS_AT_LEAST)
        is_short = short_group([group], lambda _: False) is not None
        return replace(fit, awaits=(group,), lacking=shortage_words(group) if is_short else None)

    def _members(self, fit: Fit, record: Record) -> tuple[str, ...]:
        """Return the other CPU fits of the job that do not wait for this one."""
        waiting = {fit.id}
        members = []
        for name in record["model_families"]:
            one = self.known[fit.job_id, name]
            if waiting.intersection(one.depends_on):
                waiting.add(one.id)
            elif one.stage == "cpu" and not self.family_of(name).stacks:
                members.append(one.id)
        return tuple(members)

    def _named_members(self, fit: Fit, needs: Needs) -> tuple[str, ...]:
        members = []
        for number, name in enumerate(needs.after or ()):
            where = f"{needs.place}.after[{number}]"
            one = known_as(
                name, fit.job_id, self.known, family_of=self.family_of, place=where, source=self.source
            )
            if one is None:
                raise rejected(
                    self.source, where, f"no fit of the plan is {name}", "Name a fit as JOB/Family"
                )
            if self.family_of(one.family).stacks:
                fix = "Name fits that learn from the data"
                raise rejected(self.source, where, f"{name} is made from other fits itself", fix)
            require_in_reach(fit, one, where, self.source)
            members.append(one.id)
        return tuple(dict.fromkeys(members))

    def _blend(self, fit: Fit, record: Record, blend: Record, place: str) -> Fit:
        """Return a job's blend: its parts by job, each a side, and its stage by theirs."""
        job_id, told = fit.job_id, {"place": place, "source": self.source}
        if "blend" in record:
            check_blend(blend, job_id, self.known, family_of=self.family_of, **told)
        parts, others = (
            [
                one
                for name in blend.get(key) or ()
                if (one := known_as(name, job_id, self.known, family_of=self.family_of, **told)) is not None
            ]
            for key in ("parts", "depends_on")
        )
        sides: dict[str, list[str]] = {}
        for part in parts:
            sides.setdefault(part.job_id, []).append(part.id)
        groups = [Awaited(fits=tuple(dict.fromkeys(side)), at_least=SIDE_AT_LEAST) for side in sides.values()]
        rest = {one.id for one in others} - set(awaited_ids(groups))
        if rest:
            groups.append(Awaited(fits=tuple(sorted(rest)), at_least=0))
        on_cpu = all(one.stage == "cpu" for one in (*parts, *others))
        return replace(
            fit,
            stage="cpu" if on_cpu else "gpu",
            awaits=tuple(groups),
            lacking=None
            if len(sides) > 1
            else "it is made from the models of two jobs, and its parts are of one",
        )

    def _sharing(self, fit: Fit, record: Record, needs: Needs) -> Fit:
        own, others = record["target"], needs.other_targets
        if others is None:
            others = tuple(name for name in self._companions(record) if name != own)[:OTHER_TARGETS_MAX]
        if own in others:
            where = f"{needs.place}.other_targets"
            raise rejected(self.source, where, f"{own} is the job's own target", "Name other targets")
        if others:
            return replace(fit, other_targets=others)
        whom = record["symbol"] or "all symbols"
        return replace(
            fit, lacking=f"it learns several targets at once, and the plan trains one only of {whom}"
        )

    def _companions(self, record: Record) -> Sequence[str]:
        """Return all targets that are trained as this job's is, in the order of the plan."""
        if self._targets is None:
            self._targets = {}
            for one in self.records:
                if one["model_families"]:
                    alike = self._targets.setdefault((one["training_type"], one["symbol"]), [])
                    if one["target"] not in alike:
                        alike.append(one["target"])
        return self._targets.get((record["training_type"], record["symbol"]), ())


def require_in_reach(fit: Fit, needed: Fit, place: str, source: str) -> None:
    """Raise PlanRejected for a fit of the CPU stage that waits for one of the GPU stage, which waits too."""
    if fit.stage == "cpu" and needed.stage == "gpu":
        sentence = (
            f"{fit.family} is of the CPU stage, and {needed.family} of the GPU stage, which comes after it"
        )
        raise rejected(source, place, sentence, "Name fits of the CPU stage")


def require_no_circle(fits: Iterable[Fit], source: str) -> None:
    """Raise PlanRejected where fits wait for each other in a circle."""
    fits = list(fits)
    if not any(fit.awaits for fit in fits) or not any(fit.depends_on for fit in fits):
        return  # one kind alone leads to fits before it, or to fits that are made from none
    waits = {fit.id: {*fit.depends_on, *awaited_ids(fit.awaits)} for fit in fits}
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        names = {fit.id: f"{fit.job_id}/{fit.family}" for fit in fits}
        circle = ", ".join(names[fit_id] for fit_id in error.args[1][:-1])
        raise rejected(
            source, "jobs", f"these fits wait for each other: {circle}", "Break the circle"
        ) from error
