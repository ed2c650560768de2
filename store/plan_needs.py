"""What the fits of a plan need to start, read from the `fits` of its jobs: places, memory, other fits.

    {"family": "Ensemble", "depends_on": ["LightGBM", "cs_y/XGBoost"], "needs": {"cores": 2}}

A name in `depends_on` is a family of the same job, or ``job_id/Family`` of an earlier one. `needs` may hold
cores, gpus, memory_bytes and labels; memory that is not told is what the planner estimated, labels those
that this host asks for the family. Families that are made
from others name them in `after`, and those that learn further targets name these in `other_targets`: see
`store.plan_parts`.

A job's `blend` names the fits it is made of, of any jobs of the plan: it is one more fit of the job, and
comes after all of them.

    {"model": "blend_y_AAPL", "parts": ["cs_y/XGBoost", "sym_y_AAPL/XGBoost"], "weights": "equal"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.labels import LABELS_MAX, label_problem
from store.plan import BLEND_WEIGHTS, FamilyEntry, Fit
from store.plan_input import rejected

_MOST = {"cores": 4096, "gpus": 64, "memory_bytes": 2**50}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one fit needs: places, devices, bytes of memory, and names of fits as the plan writes them.

    Attributes:
        after: names of the fits it is made from; None where the plan says nothing of them.
        other_targets: further targets it learns; None where the plan says nothing of them.
        labels: what its host must have, in order.
        place: where in the document all this stands.
    """

    cores: int
    gpus: int
    memory_bytes: int = 0
    depends_on: tuple[str, ...] = ()
    after: tuple[str, ...] | None = None
    other_targets: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    place: str


def needs_of(
    record: Mapping[str, Any],
    entries: Sequence[FamilyEntry],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> dict[str, Needs]:
    """Return what each family of a job needs; raises PlanRejected naming the place and the fix."""
    told: dict[str, Needs] = {}
    listed = record.get("fits")
    if listed is not None and not isinstance(listed, list):
        raise rejected(source, f"{place}.fits", "it is no list of fits", "Write a list, or leave it out")
    for number, one in enumerate(listed or ()):
        where = f"{place}.fits[{number}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("family"), str):
            raise rejected(source, where, "it names no family", "Write an object with family")
        try:
            entry = family_of(one["family"])
        except LookupError as error:
            raise rejected(source, f"{where}.family", str(error.args[0]), "Correct the family") from error
        told[entry.name] = _needs(entry, one, where, source)  # right even where nothing is trained by it
    return {entry.name: told.get(entry.name) or _needs(entry, {}, place, source) for entry in entries}


def resolved(
    name: str,
    job_id: str,
    known: Mapping[tuple[str, str], Fit],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> Fit:
    """Return the fit that a name in `depends_on` means; raises PlanRejected for none before it."""
    fit = known_as(name, job_id, known, family_of=family_of, place=place, source=source)
    if fit is None:
        sentence = f"it depends on {name}, and no fit before it is that"
        raise rejected(source, place, sentence, "Name a family that stands before it, or JOB/Family")
    return fit


def check_blend(
    blend: object,
    job_id: str,
    known: Mapping[tuple[str, str], Fit],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> None:
    """Check what a job says of its blend against all fits of the plan; None is no blend.

    Raises:
        PlanRejected: it names no model or no parts, a fit that the plan does not have, or no known weights.
    """
    if blend is None:
        return
    if (
        not isinstance(blend, Mapping)
        or not isinstance(blend.get("model"), str)
        or not blend["model"].strip()
    ):
        raise rejected(source, place, "it names no model", "Write an object with model and parts")
    parts, depends_on = blend.get("parts"), blend.get("depends_on", [])
    if not isinstance(parts, list) or not parts:
        raise rejected(source, f"{place}.parts", "it is no list of fits", "Name its parts as JOB/Family")
    if not isinstance(depends_on, list):
        raise rejected(source, f"{place}.depends_on", "it is no list of fits", "Write a list of JOB/Family")
    for field, names in (("parts", parts), ("depends_on", depends_on)):
        for number, name in enumerate(names):
            where = f"{place}.{field}[{number}]"
            if not isinstance(name, str):
                raise rejected(source, where, f"{name!r} is no name of a fit", "Write JOB/Family")
            if known_as(name, job_id, known, family_of=family_of, place=where, source=source) is None:
                raise rejected(source, where, f"no fit of the plan is {name}", "Name a fit as JOB/Family")
    weights = blend.get("weights")
    if weights is not None and weights not in BLEND_WEIGHTS:
        fix = f"Use {' or '.join(BLEND_WEIGHTS)}"
        raise rejected(source, f"{place}.weights", f"{weights!r} is not known", fix)


def known_as(
    name: str,
    job_id: str,
    known: Mapping[tuple[str, str], Fit],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> Fit | None:
    """Return the fit of a name, of the same job or ``JOB/Family``; raises PlanRejected for no family."""
    job, _, family = name.rpartition("/")
    try:
        return known.get((job or job_id, family_of(family).name))
    except LookupError as error:
        raise rejected(source, place, str(error.args[0]), "Correct the family") from error


def _needs(entry: FamilyEntry, one: Mapping[str, Any], where: str, source: str) -> Needs:
    needs = one.get("needs") or {}
    if not isinstance(needs, Mapping) or not set(needs) <= {*_MOST, "labels"}:
        sentence = "it is not cores, gpus, memory_bytes and labels"
        raise rejected(source, f"{where}.needs", sentence, "Write these only")
    for name, value in ((name, value) for name, value in needs.items() if name != "labels"):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST[name]:
            fix = f"Write a whole number from 0 to {_MOST[name]}"
            raise rejected(source, f"{where}.needs.{name}", f"{value!r} is no such number", fix)
    estimate = one.get("estimate")
    estimated = estimate.get("memory_bytes") if isinstance(estimate, Mapping) else None
    if type(estimated) is not int or not 0 <= estimated <= _MOST["memory_bytes"]:
        estimated = 0  # an estimate is a guess: one that cannot be is none
    on_gpu = entry.stage == "gpu"
    return Needs(
        cores=needs.get("cores", int(not on_gpu)),
        gpus=needs.get("gpus", int(on_gpu)),
        memory_bytes=needs.get("memory_bytes", estimated),
        depends_on=_names(one, "depends_on", where, source) or (),
        after=_names(one, "after", where, source),
        other_targets=_names(one, "other_targets", where, source),
        labels=_labels(needs, f"{where}.needs.labels", source) if "labels" in needs else entry.labels,
        place=where,
    )


def _labels(needs: Mapping[str, Any], place: str, source: str) -> tuple[str, ...]:
    """Return the labels that a fit's host must have, each once and in order; raises PlanRejected."""
    labels = needs["labels"]
    if not isinstance(labels, list):
        raise rejected(source, place, "it is no list of labels", "Write a list of labels")
    for number, label in enumerate(labels):
        problem = label_problem(label)
        if problem is not None:
            raise rejected(source, f"{place}[{number}]", problem, "Correct the label")
    if len(set(labels)) > LABELS_MAX:
        raise rejected(source, place, f"it has more than {LABELS_MAX} labels", "Name fewer")
    return tuple(sorted(set(labels)))


def _names(one: Mapping[str, Any], field: str, where: str, source: str) -> tuple[str, ...] | None:
    """Return a list of names, each once; None where there is none. Raises PlanRejected."""
    names = one.get(field)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise rejected(source, f"{where}.{field}", "it is no list of names", "Write a list of names")
    return tuple(dict.fromkeys(names))
