"""The only reader of the training plan document: from bytes to a plan with an identity.

The document is the one of the older system, with our additions: nothing is renamed, unknown fields are kept,
and what an older plan lacks comes from the caller's settings. A plan that is missing, unreadable, empty or
mismatched is rejected: training never goes on without one by accident.
"""

from __future__ import annotations

import functools
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from store.canonical import canonical_json, sha256_hex
from store.ids import fit_id_of
from store.plan import BLEND, STAGE_BARRIERS, FamilyEntry, Fit, Job, Plan
from store.plan_input import (
    BYTES_MAX,
    DocumentIn,
    JobIn,
    is_blocked,
    read_json,
    rejected,
    require_fields,
    require_jobs,
    route_of,
)
from store.plan_needs import needs_of, resolved
from store.plan_parts import Parts, blends_of, require_in_reach, require_no_circle

MASTER = "master_training_plan.json"
MIRROR = "training_plan.json"
_INSIDE = ("", "globals/training_plan", "METRICS/training_plan", "training_plan")

# Metadata and settings that change nothing about the models: they are no part of a plan's identity.
VOLATILE_METADATA = frozenset(("generated_at", "request", "estimates"))
# Where the rows lie says nothing about what they are: the fingerprint of the panel does, once it is known.
PLACE_METADATA = frozenset(("data",))
VOLATILE_TRAINING = frozenset(
    ("threads", "checkpoint_seconds", "checkpoint_rounds", "attempts_max", "lease_seconds", "stage_barrier")
)


def parse_plan_text(data: bytes, *, source: str) -> dict[str, Any]:
    """Return the checked document of a plan's bytes; raises PlanRejected with place and fix."""
    document = read_json(data, source=source)
    require_jobs(require_fields(document, source=source), source=source)
    return document


def complete_plan(
    document: Mapping[str, Any],
    *,
    family_of: Callable[[str], FamilyEntry],
    training: Mapping[str, Any],
    data: Mapping[str, Any],
    source: str = "plan",
) -> Plan:
    """Return the plan of a checked document, what it lacks taken from the settings.

    Args:
        document: what `parse_plan_text` returned, or a planner's document.
        family_of: the family of a name in either spelling; raises LookupError with a sentence if unknown.
        training: training settings; those in `metadata.training` win; `model_families` is for jobs without.
        data: where the rows are: data_dir, symbols, panel_key, panel_path.
        source: file or name of the document, for refusals.

    Raises:
        PlanRejected: unknown family, made from other data, or a document that `parse_plan_text` would refuse.
    """
    checked = require_fields(document, source=source)
    require_jobs(checked, source=source)
    family_of = functools.cache(family_of)  # asked for every fit, and each answer looks for a library
    panel_key = data.get("panel_key")
    _require_same_data(checked, panel_key, source)
    settings = {**training, **(checked.metadata.training or {})}
    barrier = settings.get("stage_barrier", "plan")
    if barrier not in STAGE_BARRIERS:
        raise rejected(
            source, "metadata.training.stage_barrier", f"{barrier!r} is not known", "Use plan or job"
        )
    families = _plan_families(checked, settings)
    records = [_record(job, place, families, family_of, source) for place, job in enumerate(checked.jobs)]
    if not any(record["model_families"] for record in records):
        raise rejected(source, "jobs", "no job names a model family, nothing is to be trained", "Name some")
    completed = _completed(document, records)
    sha256 = _identity(completed, panel_key, settings)
    plan_id = f"p_{sha256[:16]}"
    return Plan(
        id=plan_id,
        document=completed,
        jobs=_jobs(plan_id, checked.jobs, records, family_of, source),
        panel_key=panel_key,
        stage_barrier=barrier,
        data=dict(data),
        training=settings,
        sha256=sha256,
    )


def summary_of(jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the summary block of a document's jobs: counts by route, type and priority."""
    jobs = list(jobs)
    types = Counter(str(job["training_type"]) for job in jobs)
    blocked = sum(job["training_type"] == "blocked" or job.get("route") == "ROUTE_BLOCKED" for job in jobs)
    return {
        "by_route": dict(sorted(Counter(str(job["route"]) for job in jobs).items())),
        "by_type": dict(sorted(types.items())),
        "by_priority": dict(sorted(Counter(str(job["priority"]) for job in jobs).items())),
        "total_cs_jobs": types["cross_sectional"],
        "total_symbol_jobs": types["symbol_specific"],
        "total_blocked": blocked,
    }


def load_plan_directory(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the document and bytes of a plan directory, a results directory, or a plan file.

    The master file is the truth: when it is there and broken, its mirror is not taken in its place.
    Raises PlanRejected when there is none, when it is no regular file inside the directory, or is broken.
    """
    file = path if path.is_file() else plan_file(path)
    data = _bytes_of(file, path)
    return parse_plan_text(data, source=str(file)), data


def find_plan(output_dir: Path, results_dir: Path = Path("results")) -> Path:
    """Return the first directory that holds a master plan, in the older system's order, then `results`.

    Raises PlanRejected naming every place that was looked at: without a plan nothing is trained.
    """
    bases = (output_dir, output_dir.parent)
    places = [base / "globals" / "training_plan" for base in bases]
    places += [base / "METRICS" / "training_plan" for base in bases]
    places += [results_dir / "globals" / "training_plan", results_dir / "METRICS" / "training_plan"]
    for place in places:
        if (place / MASTER).is_file():
            return place
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise rejected(
        looked,
        "",
        "no training plan was found there",
        "Make one with: trainwright run --skip-training; or train without one: --no-training-plan",
    )


def _require_same_data(document: DocumentIn, panel_key: object, source: str) -> None:
    made_from = (document.metadata.fingerprints or {}).get("panel")
    if made_from is not None and panel_key is not None and made_from != panel_key:
        raise rejected(
            source,
            "metadata.fingerprints.panel",
            f"the plan was made from other data ({made_from}, the data given is {panel_key})",
            "Give the data it was made from, or plan again on this data",
        )


class _Families(NamedTuple):
    """Family names and where they were written."""

    place: str
    names: Sequence[str]


def _plan_families(document: DocumentIn, settings: Mapping[str, Any]) -> _Families:
    """Return the families of jobs that name none: the plan's, else those of the settings."""
    if document.metadata.model_families is not None:
        return _Families("metadata.model_families", document.metadata.model_families)
    return _Families("settings.model_families", settings.get("model_families", ()))


def _record(
    job: JobIn, place: int, plan_families: _Families, family_of: Callable[[str], FamilyEntry], source: str
) -> dict[str, Any]:
    """Return a job's record with every field of the document format, its families in our spelling."""
    record = job.model_dump(mode="json", exclude_unset=True)
    families = _Families(f"jobs[{place}].model_families", job.model_families or ())
    if job.model_families is None:
        families = plan_families
    named: dict[str, None] = {}
    for number, family in enumerate(families.names):
        try:
            name = family_of(family).name
        except LookupError as error:
            sentence = str(error.args[0]) if error.args else f"the family {family!r} is not known"
            fix = "Correct the family; see: trainwright families"
            raise rejected(source, f"{families.place}[{number}]", sentence, fix) from error
        if name == BLEND:
            sentence = "a blend is made from the models of two jobs, and is no family of one"
            raise rejected(source, f"{families.place}[{number}]", sentence, "Write the job's blend instead")
        named[name] = None
    return record | {
        "symbol": job.symbol,
        "route": route_of(job),
        "model_families": [] if is_blocked(job) else list(named),
        "priority": job.priority,
        "reason": job.reason,
        "metadata": job.metadata or {},
    }


def _completed(document: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metadata = {**(document.get("metadata") or {}), "total_jobs": len(records)}
    return {**document, "metadata": metadata, "jobs": list(records), "summary": summary_of(records)}


def _identity(document: Mapping[str, Any], panel_key: object, settings: Mapping[str, Any]) -> str:
    """Return the hash of what decides the models: document, data and training settings, 64 hex digits."""
    left_out = VOLATILE_METADATA if panel_key is None else VOLATILE_METADATA | PLACE_METADATA
    metadata = {key: value for key, value in document["metadata"].items() if key not in left_out}
    training = {key: value for key, value in settings.items() if key not in VOLATILE_TRAINING}
    jobs = [_without_estimates(job) for job in document["jobs"]]
    decisive = {**document, "metadata": metadata, "jobs": jobs}
    content = {"document": decisive, "panel_key": panel_key, "training": training}
    return sha256_hex(canonical_json(content))


def _without_estimates(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job without what its fits may cost: that is measured anew each time, and changes no model.

    An estimate that does not say its source is of a planner that never measured: it stays, and so does the
    identity of the plans it wrote.
    """
    fits = job.get("fits")
    if not isinstance(fits, list) or not any(_is_measured(fit) for fit in fits):
        return job
    kept = [{key: fit[key] for key in fit if key != "estimate"} if _is_measured(fit) else fit for fit in fits]
    return {**job, "fits": kept}


def _is_measured(fit: object) -> bool:
    estimate = fit.get("estimate") if isinstance(fit, Mapping) else None
    return isinstance(estimate, Mapping) and "source" in estimate


def _jobs(
    plan_id: str,
    jobs: Sequence[JobIn],
    records: Sequence[Mapping[str, Any]],
    family_of: Callable[[str], FamilyEntry],
    source: str,
) -> tuple[Job, ...]:
    """Return the jobs with their fits, numbered through the plan; raises PlanRejected for false needs."""
    parts = Parts(family_of=family_of, source=source, records=records)
    blends, ordinals = blends_of(records), count()
    learnt = [
        _fits(plan_id, record, parts, f"jobs[{place}]", ordinals, blended=str(record["job_id"]) in blends)
        for place, record in enumerate(records)
    ]
    made = []
    for place, (job, record, fits) in enumerate(zip(jobs, records, learnt, strict=True)):
        blend = blends.get(job.job_id)
        made.append(
            Job(
                id=job.job_id,
                ordinal=place,
                target=job.target,
                symbol=job.symbol,
                route=record["route"],
                training_type=job.training_type,
                priority=job.priority,
                reason=job.reason,
                features=None if job.features is None else tuple(job.features),
                metadata=record["metadata"],
                fits=tuple([parts.made(fit, record, blend, f"jobs[{place}]") for fit in fits]),
                record=record,
            )
        )
    require_no_circle((fit for job in made for fit in job.fits), source)
    return tuple(made)


def _fits(
    plan_id: str,
    record: Mapping[str, Any],
    parts: Parts,
    place: str,
    ordinals: Iterator[int],
    *,
    blended: bool,
) -> list[Fit]:
    """Return the fits of a job, its blend last; `parts` knows all fits before them, and then them too."""
    job_id, source = str(record["job_id"]), parts.source
    entries = [parts.family_of(name) for name in record["model_families"]]
    needs = needs_of(record, entries, family_of=parts.family_of, place=place, source=source)
    made = []
    for entry in entries:
        need, where = needs[entry.name], f"{place}.fits"
        needed = [
            resolved(name, job_id, parts.known, family_of=parts.family_of, place=where, source=source)
            for name in need.depends_on
        ]
        fit = Fit(
            id=fit_id_of(plan_id, job_id, entry.name),
            job_id=job_id,
            family=entry.name,
            stage=entry.stage,
            ordinal=next(ordinals),
            unavailable=entry.unavailable,
            cores=need.cores,
            gpus=need.gpus,
            memory_bytes=need.memory_bytes,
            depends_on=tuple(one.id for one in needed),
            labels=need.labels,
        )
        for one in needed:
            require_in_reach(fit, one, where, source)
        parts.note(fit, entry, need)
        made.append(fit)
    if blended:
        made.append(
            Fit(
                id=fit_id_of(plan_id, job_id, BLEND),
                job_id=job_id,
                family=BLEND,
                stage="cpu",
                ordinal=next(ordinals),
                cores=1,
                gpus=0,
            )
        )
    return made


def plan_file(path: Path) -> Path:
    """Return the master plan of a directory, else its mirror; raises PlanRejected when there is neither."""
    for name in (MASTER, MIRROR):
        for inside in _INSIDE:
            if (file := path / inside / name).exists():
                return file
    raise rejected(
        str(path), "", f"there is no {MASTER} in it", "Hand in the directory globals/training_plan"
    )


def _bytes_of(file: Path, root: Path) -> bytes:
    """Return a file's bytes; raises PlanRejected for a link that leads out, a device, an unreadable file."""
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(root.resolve()):
            raise rejected(str(file), "", "it is a link that leads out of the directory", "Copy the file in")
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise rejected(str(file), "", "it is not a regular file", "Hand in the file itself")
        if status.st_size > BYTES_MAX:
            raise rejected(
                str(file), "", f"it has {status.st_size} bytes, more than {BYTES_MAX}", "Split the plan"
            )
        return real.read_bytes()
    except OSError as error:
        raise rejected(str(file), "", f"it cannot be read: {error.strerror}", "Make it readable") from error
