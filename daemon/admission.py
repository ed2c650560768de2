"""The one door for plans: from a checked document and what is in the data to an entry in the event log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from daemon.settings import Settings
from daemon.surveying import Description, check_jobs
from daemon.views.words import counted
from daemon.workplace import Workplace
from executors.errors import UnknownFamily
from executors.families import availability, resolve
from planner.families import refusal_words
from store.errors import StoreError
from store.plan import FamilyEntry, Job, Plan
from store.plan_document import complete_plan
from store.plan_store import PlanStore
from store.records import Accepted, PlanRow

log = structlog.get_logger("admission")


def family_entry(name: str, *, labels: Mapping[str, Sequence[str]] | None = None) -> FamilyEntry:
    """Return what the store must know of a family, in any spelling; `labels` are needed by family.

    Raises:
        LookupError: no such family; names the nearest.
    """
    try:
        family = resolve(name)
    except UnknownFamily as error:
        hint = f": did you mean {error.nearest}?" if error.nearest else ""
        raise LookupError(f"unknown model family {name!r}{hint}") from error
    return FamilyEntry(
        name=family.name,
        stage=family.stage,
        unavailable=availability(family),
        stacks=family.stacks,
        shares=family.shares,
        labels=tuple((labels or {}).get(family.name, ())),
    )


def completed(settings: Settings, document: Mapping[str, Any], found: Description, *, source: str) -> Plan:
    """Return the plan of a document, checked against the data, its gaps filled from the settings.

    Raises:
        PlanRejected: says what is wrong, where in the document, and the nearest right name.
    """
    plan = complete_plan(
        document,
        family_of=partial(family_entry, labels=settings.family_labels),
        training=_training(settings, document),
        data=found.data(),
        source=source,
    )
    check_jobs(plan.document, found, source=source)  # as trained: null families are filled
    return replace(plan, jobs=tuple(_suited(job, found.tasks.get(job.target)) for job in plan.jobs))


def _suited(job: Job, task: str | None) -> Job:
    """Return a job, its fits of families that do not learn its kind of target marked so."""
    refused = {
        fit.id: refusal_words(family, task)
        for fit in job.fits
        if task is not None and task not in (family := resolve(fit.family)).tasks
    }
    if not refused:
        return job
    fits = (replace(fit, lacking=refused.get(fit.id, fit.lacking)) for fit in job.fits)
    return replace(job, fits=tuple(fits))


def rehearse(settings: Settings, document: Mapping[str, Any], *, source: str) -> Plan:
    """Check all of a document that can be checked without its data, and return what it would be.

    Raises:
        PlanRejected: says what is wrong, where in the document, and the nearest right name.
    """
    return complete_plan(
        document,
        family_of=partial(family_entry, labels=settings.family_labels),
        training=_training(settings, document),
        data={},
        source=source,
    )


def admit(
    store: PlanStore,
    workplace: Workplace,
    plan: Plan,
    *,
    source: str,
    name: str,
    planning_id: str | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Accepted:
    """Record a plan and open its output directory; the same plan again is a receipt with `new` False."""
    if plan_row(store, plan.id) is not None:
        return _told(store.accept(plan, source=source, name=name, planning_id=planning_id), plan, source)
    output = workplace.open_output(plan_id=plan.id if store.reading.is_shared else "")
    try:
        with_output = replace(plan, data={**plan.data, "output": output})
        accepted = store.accept(with_output, source=source, name=name, planning_id=planning_id, beat=beat)
    except StoreError:
        workplace.close_output(output)
        raise
    if not accepted.new:  # somebody else was first by a moment
        workplace.close_output(output)
    return _told(accepted, plan, source)


def plan_row(store: PlanStore, plan_id: str) -> PlanRow | None:
    """Return the row of a plan, None when there is none."""
    return store.reading.find_plan_row(plan_id)


def acceptance_sentence(accepted: Accepted) -> str:
    """Return the receipt in words."""
    if accepted.new:
        return f"accepted as {accepted.plan_id}"
    return f"already accepted as {accepted.plan_id} at {accepted.at:%Y-%m-%d %H:%M:%S} UTC, no new jobs"


def left_out(plan: Plan) -> tuple[str, ...]:
    """Return in words what of a plan cannot be trained here, with the line that installs what is missing."""
    reasons = ((fit, fit.unavailable or fit.lacking) for fit in plan.fits)
    return left_out_words((fit.job_id, fit.family, reason) for fit, reason in reasons if reason is not None)


def left_out_words(fits: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    """Return one sentence for all fits, given as (job, family, reason), that miss the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for job_id, family, reason in fits:
        found.setdefault((family, reason), []).append(job_id)
    return tuple(
        f"{job_ids[0]}/{family}: {reason}"
        if len(job_ids) == 1
        else f"{family} of {counted(len(job_ids), 'job')}: {reason}"
        for (family, reason), job_ids in found.items()
    )


def _told(accepted: Accepted, plan: Plan, source: str) -> Accepted:
    log.info(
        "plan accepted" if accepted.new else "plan known already",
        plan=accepted.plan_id,
        source=source,
        jobs=len(plan.jobs),
        fits=len(plan.fits),
    )
    return accepted


def _training(settings: Settings, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings a document is completed with; families only if it needs them.

    What a plan does not need is no part of it: the same plan has the same identity on every host.
    """
    training = settings.training()
    metadata = document.get("metadata") or {}
    if metadata.get("seed") is not None:
        training["seed"] = metadata["seed"]
    unnamed = any(job.get("model_families") is None for job in document.get("jobs", ()))
    if unnamed and metadata.get("model_families") is None:
        training["model_families"] = list(settings.families)
    return training
