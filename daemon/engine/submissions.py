"""From claims to a job: its id, the words that start our agent, and what Ray keeps free for it.

The id follows from the claims and from who made them: the same claims are the same job, however often they
are submitted, and no other log that shares the cluster can have it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence

from daemon.engine.client import RayJob, Submission
from daemon.settings import Settings
from store.ids import host_of
from store.records import Claim

GPU_LABEL = "gpu"
LABEL_SHARE = 0.001  # of a node's resource of that name: as good as nothing, and only where there is one
_CLAIMS, _WORKER, _HOST = "trainwright-claims", "trainwright-worker", "trainwright-host"
Held = tuple[str, int]  # a fit and the fence it is held under


def submission_of(claims: Sequence[Claim], settings: Settings, *, gpus: float | None) -> Submission:
    """Return the job that does these claims one after the other.

    Args:
        claims: of one worker, alike in what they need.
        settings: of the host.
        gpus: how many devices the cluster has, None where that is not known. Where it has none, a fit that
            may train without one asks for none.
    """
    first = claims[0]
    devices = max(claim.gpus for claim in claims)
    if gpus == 0 and settings.gpu_fallback != "never":
        devices = 0
    labels = sorted({label for claim in claims for label in claim.labels})
    cores = max(1, *(claim.cores for claim in claims)) * settings.threads_per_fit
    held = [(claim.fit_id, claim.fence) for claim in claims]
    return Submission(
        id=job_id(held, first.worker),
        entrypoint=entrypoint(held, settings),
        cpus=cores,
        gpus=max(devices, int(GPU_LABEL in labels)),
        memory_bytes=max(claim.memory_bytes for claim in claims),
        resources={label: LABEL_SHARE for label in labels if label != GPU_LABEL},
        metadata={
            _CLAIMS: " ".join(f"{fit_id}:{fence}" for fit_id, fence in held),
            _WORKER: first.worker,
            _HOST: host_of(first.worker),
        },
    )


def job_id(held: Sequence[Held], worker: str) -> str:
    """Return the id under which these claims of a worker are submitted."""
    words = "\n".join((worker, *(f"{fit_id}:{fence}" for fit_id, fence in held)))
    fit_id, fence = held[0]
    return f"trainwright-{fit_id}-{fence}-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def entrypoint(held: Sequence[Held], settings: Settings) -> str:
    """Return the line that Ray gives to a shell: our own words, each quoted."""
    claims = (word for fit_id, fence in held for word in ("--claim", f"{fit_id}:{fence}"))
    config = () if settings.ray_config is None else ("--config", str(settings.ray_config))
    return f"exec {shlex.join((*settings.ray_command, 'fit', *claims, *config))}"


def claims_of(job: RayJob) -> tuple[Held, ...]:
    """Return which claims a job of ours does; none where it is somebody else's, or nobody can read it."""
    found = []
    for word in job.metadata.get(_CLAIMS, "").split():
        fit_id, _, fence = word.partition(":")
        if not fit_id or not (fence.isascii() and fence.isdigit() and len(fence) < 10):
            return ()
        found.append((fit_id, int(fence)))
    return tuple(found)


def worker_of(job: RayJob) -> str:
    """Return who claimed what a job does."""
    return job.metadata.get(_WORKER, "")


def host_of_job(job: RayJob) -> str:
    """Return the host whose daemon submitted a job."""
    return job.metadata.get(_HOST, "")


def alike(claims: Iterable[Claim], *, most: int) -> list[list[Claim]]:
    """Return the claims in groups for one job each: of one plan and of the same needs, `most` together."""
    by_needs: dict[tuple[object, ...], list[Claim]] = {}
    for claim in claims:
        needs = (claim.plan_id, claim.stage, claim.cores, claim.gpus, claim.memory_bytes, *claim.labels)
        by_needs.setdefault(needs, []).append(claim)
    return [group[at : at + most] for group in by_needs.values() for at in range(0, len(group), most)]
