"""What the fits of a plan need to start, read from the `fits` of its jobs: places, memory, other fits.

    {"family": "Ensemble", "depends_on": ["LightGBM", "cs_y/XGBoost"], "needs": {"cores": 2}}

A name in `depends_on` is a family of the same job, or ``job_id/Family`` of an earlier one. `needs` may hold
cores, gpus and memory_bytes; memory that is not told is what the planner estimated.

A job's `blend` names the fits it is made of, of any jobs of the plan: it comes after all of them.

    {"model": "blend_y_AAPL", "parts": ["cs_y/XGBoost", "sym_y_AAPL/XGBoost"], "weights": "equal"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.plan import FamilyEntry
from store.plan_input import rejected

_MOST = {"cores": 4096, "gpus": 64, "memory_bytes": 2**50}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one fit needs: places, devices, bytes of memory, and names of fits as the plan writes them."""

    cores: int
    gpus: int
    memory_bytes: int = 0
    depends_on: tuple[str, ...] = ()


def needs_of(
    record: Mapping[str, Any],
    entries: Sequence[FamilyEntry],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> dict[str, Needs]:
    """Return what each family of a job needs; raises PlanRejected naming the place and the fix."""
    told: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for number, one in enumerate(record.get("fits") or ()):
        where = f"{place}.fits[{number}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("family"), str):
            raise rejected(source, where, "it names no family", "Write an object with family")
        try:
            told[family_of(one["family"]).name] = (where, one)
        except LookupError as error:
            raise rejected(source, f"{where}.family", str(error.args[0]), "Correct the family") from error
    found: dict[str, Needs] = {}
    for entry in entries:
        where, one = told.get(entry.name, (place, {}))
        found[entry.name] = _needs(entry, one, where, source)
    return found


def resolved(
    name: str,
    job_id: str,
    known: Mapping[tuple[str, str], str],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> str:
    """Return the id of the fit that a name in `depends_on` means; raises PlanRejected for none before it."""
    fit_id = _known_as(name, job_id, known, family_of=family_of, place=place, source=source)
    if fit_id is None:
        sentence = f"it depends on {name}, and no fit before it is that"
        raise rejected(source, place, sentence, "Name a family that stands before it, or JOB/Family")
    return fit_id


def check_blend(
    blend: object,
    job_id: str,
    known: Mapping[tuple[str, str], str],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> None:
    """Check what a job says of its blend against all fits of the plan; None is no blend.

    Raises:
        PlanRejected: it names no model or no parts, or a fit that the plan does not have.
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
            if _known_as(name, job_id, known, family_of=family_of, place=where, source=source) is None:
                raise rejected(source, where, f"no fit of the plan is {name}", "Name a fit as JOB/Family")


def _known_as(
    name: str,
    job_id: str,
    known: Mapping[tuple[str, str], str],
    *,
    family_of: Callable[[str], FamilyEntry],
    place: str,
    source: str,
) -> str | None:
    job, _, family = name.rpartition("/")
    try:
        return known.get((job or job_id, family_of(family).name))
    except LookupError as error:
        raise rejected(source, place, str(error.args[0]), "Correct the family") from error


def _needs(entry: FamilyEntry, one: Mapping[str, Any], where: str, source: str) -> Needs:
    needs = one.get("needs") or {}
    depends_on = one.get("depends_on") or []
    if not isinstance(needs, Mapping) or not set(needs) <= set(_MOST):
        raise rejected(source, f"{where}.needs", "it is not cores, gpus and memory_bytes", "Write these only")
    if not isinstance(depends_on, list) or not all(isinstance(name, str) for name in depends_on):
        raise rejected(source, f"{where}.depends_on", "it is no list of names", "Write a list of families")
    for name, value in needs.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST[name]:
            fix = f"Write a whole number from 0 to {_MOST[name]}"
            raise rejected(source, f"{where}.needs.{name}", f"{value!r} is no such number", fix)
    estimate = one.get("estimate")
    estimated = estimate.get("memory_bytes") if isinstance(estimate, Mapping) else None
    on_gpu = entry.stage == "gpu"
    return Needs(
        cores=needs.get("cores", int(not on_gpu)),
        gpus=needs.get("gpus", int(on_gpu)),
        memory_bytes=needs.get("memory_bytes", estimated if isinstance(estimated, int) else 0),
        depends_on=tuple(dict.fromkeys(depends_on)),
    )
