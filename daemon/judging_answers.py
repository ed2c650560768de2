"""The answer of the limited child, as text: a whole plan, a refusal in words, or a problem of its own.

No pickle: an answer comes out of a process that has read foreign text, and is read as what it is, JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from store.awaited import awaited_of
from store.errors import PlanRejected
from store.plan import Fit, Job, Plan

PLAN, REJECTED, PROBLEM = "plan", "rejected", "problem"
_BY_DEFAULT = {field.name: field.default for field in fields(Fit)}
_TUPLES = ("depends_on", "other_targets", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a plan is refused; not `whole` is one that ends too early, and may still be written."""

    place: str
    sentence: str
    fix: str
    whole: bool = True

    def of(self, source: str) -> PlanRejected:
        """Return it as the refusal that is recorded and told."""
        return PlanRejected(source=source, place=self.place, sentence=self.sentence, fix=self.fix)


def encoded_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it; its jobs are in its document, so only their fits are said beside it."""
    return {
        PLAN: {
            "id": plan.id,
            "sha256": plan.sha256,
            "document": plan.document,
            "panel_key": plan.panel_key,
            "stage_barrier": plan.stage_barrier,
            "data": plan.data,
            "training": plan.training,
            "fits": [[_encoded_fit(fit) for fit in job.fits] for job in plan.jobs],
        }
    }


def encoded_rejection(rejected: PlanRejected, *, whole: bool) -> dict[str, Any]:
    """Return a refusal as JSON has it; its words become printable, for they quote foreign text."""
    words = {
        "place": rejected.place,
        "sentence": rejected.sentence,
        "fix": rejected.fix,
    }
    return {
        REJECTED: {
            **{name: printable(text) for name, text in words.items()},
            "whole": whole,
        }
    }


def decoded(answer: bytes) -> Plan | Rejection:
    """Return what an answer says.

    Raises:
        ValueError: it is cut off or says something else.
    """
    told = json.loads(answer)
    if PLAN in told:
        return _decoded_plan(told[PLAN])
    if REJECTED in told:
        return Rejection(**told[REJECTED])
    return Rejection(place="", sentence=str(told[PROBLEM]), fix="Split the plan into several")


def printable(text: str) -> str:
    """Return a text in one line of printable letters."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _encoded_fit(fit: Fit) -> dict[str, Any]:
    """Return a fit without what it has by default, of which a plan has thousands."""
    values = ((name, getattr(fit, name)) for name in _BY_DEFAULT)
    said = {name: value for name, value in values if value != _BY_DEFAULT[name]}
    if fit.awaits:
        said["awaits"] = [asdict(group) for group in fit.awaits]
    return said


def _decoded_plan(told: Mapping[str, Any]) -> Plan:
    records = told["document"]["jobs"]
    return Plan(
        id=told["id"],
        document=told["document"],
        jobs=tuple(
            _decoded_job(record, ordinal, fits)
            for ordinal, (record, fits) in enumerate(zip(records, told["fits"], strict=True))
        ),
        panel_key=told["panel_key"],
        stage_barrier=told["stage_barrier"],
        data=told["data"],
        training=told["training"],
        sha256=told["sha256"],
    )


def _decoded_job(record: Mapping[str, Any], ordinal: int, fits: list[dict[str, Any]]) -> Job:
    features = record.get("features")
    return Job(
        id=record["job_id"],
        ordinal=ordinal,
        target=record["target"],
        symbol=record["symbol"],
        route=record["route"],
        training_type=record["training_type"],
        priority=record["priority"],
        reason=record["reason"],
        features=None if features is None else tuple(features),
        metadata=record["metadata"],
        fits=tuple(_decoded_fit(fit) for fit in fits),
        record=record,
    )


def _decoded_fit(told: dict[str, Any]) -> Fit:
    tuples = {name: tuple(told[name]) for name in _TUPLES if name in told}
    return Fit(**{**told, **tuples, "awaits": awaited_of(told.get("awaits", ()))})
