"""Plans read from their JSON files, whole or one target: the rest of a large file is never unpacked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from planner.artifacts import LEGACY_PLAN_DIR, PLAN_DIR
from planner.errors import PlanUnreadable

Row = Mapping[str, Any]

_PLAN_FILES = ("master_training_plan.json", "training_plan.json")
_PLAN_PLACES = (Path(), PLAN_DIR, LEGACY_PLAN_DIR, Path("training_plan"))


class _Job(msgspec.Struct):
    """What is looked at of a job to know whether it is wanted."""

    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A plan as far as it was asked for, and the names of all targets that it speaks of."""

    content: Row | None = None
    targets: frozenset[str] = field(default_factory=frozenset)


def read_routes(path: Path, target: str | None = None) -> Document:
    """Return the routing plan of a file, all of it or one target; nothing without a file.

    Raises:
        PlanUnreadable: it is there and is no routing plan.
    """
    parts = _parts(path, "targets", target)
    if parts is None:
        return Document()
    targets = parts["targets"]
    if not isinstance(targets, dict):
        raise _unreadable(path, "its targets are no object")
    if target is not None:
        parts["targets"] = {target: _unpacked(path, targets[target])} if target in targets else {}
    return Document(content=parts, targets=frozenset(targets) | frozenset(parts.get("blocked") or ()))


def read_plan(place: Path, target: str | None = None) -> Document:
    """Return the training plan of a plan file, a plan directory or a results directory; nothing without one.

    The master file is the truth: when it is there and broken, its mirror is not taken in its place.

    Raises:
        PlanUnreadable: it is there and is no training plan.
    """
    paths = [place / inside / name for name in _PLAN_FILES for inside in _PLAN_PLACES]
    path = place if place.is_file() else next((path for path in paths if path.is_file()), None)
    parts = None if path is None else _parts(path, "jobs", target)
    if path is None or parts is None:
        return Document()
    jobs = parts["jobs"]
    if not isinstance(jobs, list):
        raise _unreadable(path, "its jobs are no list")
    if target is None:
        owners = [job.get("target") for job in jobs if isinstance(job, dict)]
    else:
        owners = [_unpacked(path, job, _Job).target for job in jobs]
        wanted = (job for job, owner in zip(jobs, owners, strict=True) if owner == target)
        parts["jobs"] = [_unpacked(path, job) for job in wanted]
    named = frozenset(owner for owner in owners if owner is not None)
    return Document(content=parts, targets=named | frozenset(parts.get("blocked") or ()))


def _parts(path: Path, large: str, target: str | None) -> dict[str, Any] | None:
    """A JSON object, its part `large` with entries still packed where one target is wanted; None: no file."""
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if target is None:
        parts: dict[str, Any] = _unpacked(path, data, dict[str, Any])
    else:
        packed = _unpacked(path, data, dict[str, msgspec.Raw])
        parts = {name: raw if name == large else _unpacked(path, raw) for name, raw in packed.items()}
        if large in parts:
            kind = list[msgspec.Raw] if large == "jobs" else dict[str, msgspec.Raw]
            parts[large] = _unpacked(path, parts[large], kind)
    if large not in parts:
        raise _unreadable(path, f"it has no {large!r}")
    return parts


def _unpacked(path: Path, data: bytes | msgspec.Raw, kind: Any = Any) -> Any:  # noqa: ANN401 (JSON is anything)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, problem: str) -> PlanUnreadable:
    reason = problem.partition("\n")[0]
    return PlanUnreadable(f"{path.name} cannot be read: {reason}", where=str(path), fix="plan again")
