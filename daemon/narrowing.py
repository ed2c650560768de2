"""A plan made smaller by the command line, and the plan that stands for training without one.

Both are documents like any other: they get an id of their own and go the one road of all plans.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from daemon.panels import panel_of
from daemon.settings import Settings
from executors.families import CPU, Family, resolve
from store import PlanRejected
from store.awaited import MEMBERS_AT_LEAST
from store.plan_document import summary_of


def narrow(
    document: Mapping[str, Any], *, families: Collection[str], symbols: Sequence[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The plan with only these families and only the jobs of these symbols, and what was left out in words.

    What is made from fits that are left out is made from those that stay, or left out too where too few do.
    An empty ``symbols`` leaves all. A plan that needs no narrowing comes back as it is, with the id it had.

    Raises:
        PlanRejected: nothing is left to train.
        UnknownFamily: the plan names a family that does not exist.
    """
    left_out: list[str] = []
    jobs: list[Mapping[str, Any]] = []
    for job in document["jobs"]:
        if symbols and job.get("symbol") and job["symbol"] not in symbols:
            left_out.append(f"job {job['job_id']}: symbol {job['symbol']} is not among --symbols")
            continue
        kept = [name for name in job.get("model_families") or [] if resolve(name).name in families]
        dropped = [name for name in job.get("model_families") or [] if name not in kept]
        left_out.extend(f"{job['job_id']}/{name}: not asked for" for name in dropped)
        jobs.append(_with_families(job, kept) if dropped else job)
    if not left_out:
        return dict(document), ()
    jobs = _with_whole_blends(_with_whole_fits(jobs, left_out), left_out)
    if not any(job.get("model_families") for job in jobs):
        raise PlanRejected(
            source="the training plan",
            place="jobs",
            sentence="nothing is left to train with these --symbols, --families and --model-types",
            fix="Ask for what the plan holds: trainwright plan show",
        )
    metadata = {**document.get("metadata", {}), "total_jobs": len(jobs)}
    return {**document, "metadata": metadata, "jobs": jobs, "summary": summary_of(jobs)}, tuple(left_out)


def _with_families(job: Mapping[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    names = {resolve(name).name for name in kept}
    fits = [fit for fit in job.get("fits", []) if resolve(fit["family"]).name in names]
    return {**job, "model_families": list(kept), **({"fits": fits} if "fits" in job else {})}


def _with_whole_fits(jobs: Sequence[Mapping[str, Any]], left_out: list[str]) -> list[Mapping[str, Any]]:
    """The jobs without fits that need one which is left out, ensembles made of the members that stay."""
    trained = _trained(jobs)
    whole = []
    for job in jobs:
        dropped = set()
        # What is made from others comes last: its members may go too.
        for name in sorted(job.get("model_families") or [], key=lambda name: resolve(name).stacks):
            reason = _unmet(job, resolve(name), trained)
            if reason is not None:
                left_out.append(f"{job['job_id']}/{name}: {reason}")
                trained.discard(_fit_name(job, name))
                dropped.add(name)
        kept = [name for name in job.get("model_families") or [] if name not in dropped]
        whole.append(_with_members(_with_families(job, kept) if dropped else job, trained))
    return whole


def _unmet(job: Mapping[str, Any], family: Family, trained: Collection[str]) -> str | None:
    """Why a fit of a job cannot be trained with what is left of the plan; None when it can."""
    told = _told(job, family.name)
    for name in told.get("depends_on") or ():
        if _fit_name(job, name) not in trained:
            return f"it needs {name}, which is not asked for"
    if not family.stacks:
        return None
    members = told.get("after")
    if members is None:
        others = [resolve(name) for name in job["model_families"]]
        members = [one.name for one in others if one.stage == CPU and not one.stacks]
    left = {_fit_name(job, name) for name in members} & set(trained)
    if len(left) >= MEMBERS_AT_LEAST:
        return None
    return (
        f"it is made from {MEMBERS_AT_LEAST} other fits at least, and {len(left) or 'none'} of them is left"
    )


def _with_members(job: Mapping[str, Any], trained: Collection[str]) -> Mapping[str, Any]:
    """The job, what its fits are made from without the fits that are left out."""
    if not any("after" in fit for fit in job.get("fits") or ()):
        return job
    fits = [
        {**fit, "after": [name for name in fit["after"] if _fit_name(job, name) in trained]}
        if "after" in fit
        else fit
        for fit in job["fits"]
    ]
    return {**job, "fits": fits}


def _told(job: Mapping[str, Any], family: str) -> Mapping[str, Any]:
    """What a job says of one of its fits."""
    return next((fit for fit in job.get("fits") or () if resolve(fit["family"]).name == family), {})


def _fit_name(job: Mapping[str, Any], name: str) -> str:
    """The whole name of a fit that a job names, by its family alone or with a job's id."""
    job_id, _, family = name.rpartition("/")
    return f"{job_id or job['job_id']}/{resolve(family).name}"


def _trained(jobs: Sequence[Mapping[str, Any]]) -> set[str]:
    return {_fit_name(job, name) for job in jobs for name in job.get("model_families") or []}


def _with_whole_blends(jobs: Sequence[Mapping[str, Any]], left_out: list[str]) -> list[Mapping[str, Any]]:
    """The jobs, their blends made of the parts that are left; a blend that has lost a side is no blend."""
    trained = _trained(jobs)
    whole = [_with_whole_blend(job, trained) if job.get("blend") else job for job in jobs]
    left_out.extend(
        f"{job['job_id']}/Blend: the models of one of its jobs are all left out"
        for job, left in zip(jobs, whole, strict=True)
        if "blend" in job and "blend" not in left
    )
    return whole


def _with_whole_blend(job: Mapping[str, Any], trained: Collection[str]) -> Mapping[str, Any]:
    blend = job["blend"]
    if not isinstance(blend, Mapping) or not isinstance(blend.get("parts"), list):
        return job  # to be refused where plans are checked
    left = {
        key: [part for part in blend.get(key) or () if _fit_name(job, part) in trained]
        for key in ("parts", "depends_on")
    }
    if len({_fit_name(job, part).rpartition("/")[0] for part in left["parts"]}) > 1:
        return {**job, "blend": {**blend, **left}}
    return {key: value for key, value in job.items() if key != "blend"}


def about_data(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The plan with the data the command line names in place of its own; its fingerprint must still fit.

    Symbols among the plan's own narrow what is trained, not the rows it is trained on: a model of all symbols
    stays one of all symbols.
    """
    metadata = dict(document.get("metadata") or {})
    data = {**(metadata.get("data") or {}), "data_dir": str(settings.data_dir)}
    if not set(settings.symbols) <= set(data.get("symbols") or ()):
        data["symbols"] = sorted(settings.symbols)
    return {**document, "metadata": {**metadata, "data": data}}


def plan_of_everything(settings: Settings) -> dict[str, Any]:
    """A plan with one job for all symbols per target of the data: what ``--no-training-plan`` means.

    Raises:
        PanelError: the data cannot be read or has no targets.
    """
    panel = panel_of(settings)
    jobs: list[Mapping[str, Any]] = [
        {
            "job_id": f"cs_{target.name}",
            "target": target.name,
            "symbol": None,
            "route": "ROUTE_CROSS_SECTIONAL",
            "training_type": "cross_sectional",
            "model_families": list(settings.families),
            "priority": 2,
            "reason": "trained without a plan (--no-training-plan): not ranked, not probed for leaks",
            "metadata": {},
        }
        for target in panel.targets
    ]
    metadata = {
        "generated_at": None,
        "routing_plan_path": None,
        "total_jobs": len(jobs),
        "model_families": list(settings.families),
    }
    return {"metadata": metadata, "jobs": jobs, "summary": summary_of(jobs)}
