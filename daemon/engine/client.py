"""What we ask of Ray: its Jobs API, and only of a cluster that can be trusted with a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.engine.connection import Answer, Connection, path_of
from daemon.engine.errors import RayRefused, RaySilent, RayUnsafe
from store.errors import one_line

VERSION_MIN = (2, 52)
HOLES = "CVE-2025-62593 and CVE-2023-48022: whoever reaches it runs code there"
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
REFUSALS = frozenset({400, 404, 405, 413, 415, 422})
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.|$|\D)")
_NO_TOKEN = frozenset({401, 403})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that was found safe.

    Attributes:
        version: of Ray.
        session: a name that changes when the head is started anew; all jobs are forgotten then.
        gpus: how many devices its nodes have, None where that could not be learned.
    """

    version: str
    session: str
    gpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job for Ray: what runs, under which id, and what is kept free for it."""

    id: str
    entrypoint: str
    cpus: float
    gpus: float
    memory_bytes: int
    resources: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return what the Jobs API is sent; what is not needed is not named."""
        needed = {
            "entrypoint_num_cpus": self.cpus,
            "entrypoint_num_gpus": self.gpus,
            "entrypoint_memory": self.memory_bytes,
            "entrypoint_resources": dict(self.resources),
        }
        return {
            "submission_id": self.id,
            "entrypoint": self.entrypoint,
            "metadata": dict(self.metadata),
            **{name: value for name, value in needed.items() if value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RayJob:
    """A job as Ray tells of it: a hint. `status` is PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""

    id: str
    status: str
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether Ray says that it is over."""
        return self.status in ENDED


class RayClient:
    """The calls; each may take as long as `connection` lets it, so none is made in the daemon's loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def place(self) -> str:
        """The cluster's address as it may be said."""
        return self._connection.place

    def cluster(self) -> Cluster:
        """Return what the cluster is.

        Raises:
            RayUnsafe: it answers without a token, or its version has known holes.
            RaySilent: it does not answer.
            RayRefused: it does not take our token.
        """
        open_door = self._connection.call("GET", "/api/jobs/", token=False)
        if open_door.status not in _NO_TOKEN:
            if open_door.status >= 500:
                raise RaySilent(f"Ray answered {open_door.status}: {open_door.words}", where=self.place)
            raise RayUnsafe(
                f"this Ray answers without a token ({HOLES})",
                where=self.place,
                fix="start it with RAY_AUTH_MODE=token and a token of its own",
            )
        found = self._read(self._connection.call("GET", "/api/version"))
        version = one_line(str(found.get("ray_version", "")))
        if _numbers(version) < VERSION_MIN:
            raise RayUnsafe(
                f"this Ray is {version or 'of no known version'} ({HOLES})",
                where=self.place,
                fix=f"take Ray {'.'.join(str(number) for number in VERSION_MIN)} or newer",
            )
        return Cluster(version=version, session=str(found.get("session_name", "")), gpus=self._gpus())

    def submit(self, submission: Submission) -> bool:
        """Submit a job; whether it is new. The same id again changes nothing, whatever became of it.

        Raises:
            RaySilent: it is not known whether it was taken; the same again finds out.
            RayRefused: it was not taken and would not be.
        """
        answer = self._connection.call("POST", "/api/jobs/", submission.document())
        if answer.status == 200:
            return True
        if self.job(submission.id) is not None:
            return False
        raise self._trouble(answer)

    def job(self, job_id: str) -> RayJob | None:
        """Return what Ray knows of a job, None when it knows none."""
        answer = self._connection.call("GET", path_of("api", "jobs", job_id))
        return None if answer.status == 404 else _job(self._read(answer))

    def jobs(self) -> tuple[RayJob, ...]:
        """Return all jobs that Ray knows, those of others among them."""
        answer = self._connection.call("GET", "/api/jobs/")
        self._require(answer)
        found = answer.document
        if not isinstance(found, list):
            raise RaySilent("answered with what is no list of jobs", where=self.place)
        return tuple(_job(one) for one in found if isinstance(one, dict) and one.get("submission_id"))

    def stop(self, job_id: str) -> bool:
        """Ask Ray to end a job: SIGTERM, and SIGKILL a little later; False where it knows none."""
        answer = self._connection.call("POST", path_of("api", "jobs", job_id, "stop"))
        if answer.status == 404:
            return False
        self._require(answer)
        return True

    def forget(self, job_id: str) -> bool:
        """Let Ray forget a job that has ended; False where it knows none or it has not ended."""
        return self._connection.call("DELETE", path_of("api", "jobs", job_id)).status == 200

    def _gpus(self) -> float | None:
        """Return how many devices the nodes have together; None where not every node has told that yet."""
        answer = self._connection.call("GET", "/nodes?view=summary")
        try:
            nodes = answer.document["data"]["summary"] if answer.status == 200 else []
            told = [node["raylet"].get("resourcesTotal") or {} for node in nodes]
            devices = float(sum(of_node.get("GPU", 0) for of_node in told))
        except (RaySilent, KeyError, TypeError, ValueError, AttributeError):
            return None
        return devices if devices or (told and all(told)) else None

    def _read(self, answer: Answer) -> Mapping[str, Any]:
        self._require(answer)
        found = answer.document
        if not isinstance(found, dict):
            raise RaySilent("answered with what is no record", where=self.place)
        return found

    def _require(self, answer: Answer) -> None:
        if answer.status != 200:
            raise self._trouble(answer)

    def _trouble(self, answer: Answer) -> RaySilent | RayRefused:
        if answer.status in _NO_TOKEN:
            return RayRefused(
                "Ray does not take this token",
                where=self.place,
                fix="write the cluster's token into ray_token_file",
            )
        kind = RayRefused if answer.status in REFUSALS else RaySilent
        return kind(f"Ray answered {answer.status}: {answer.words}", where=self.place)


def _job(found: Mapping[str, Any]) -> RayJob:
    metadata = found.get("metadata")
    return RayJob(
        id=str(found.get("submission_id") or ""),
        status=str(found.get("status") or ""),
        message=_message(str(found.get("message") or "")),
        metadata={
            str(name): str(value) for name, value in (metadata.items() if isinstance(metadata, dict) else ())
        },
    )


def _message(text: str) -> str:
    """Return the first and the last line of what Ray says of a job: what happened, and its last words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return one_line(" ".join(dict.fromkeys((*lines[:1], *lines[-1:]))))


def _numbers(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version; (0, 0) for what is none."""
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
