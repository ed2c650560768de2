"""Identities: time-ordered event ids and content-derived ids of fits."""

from __future__ import annotations

import hashlib
import os
import secrets
import time

_RANDOM_BYTES = 10


def new_event_id() -> bytes:
    """Return a fresh 16-byte UUIDv7 (RFC 9562, 5.7); make it before the first try, reuse it to retry."""
    return new_event_ids(1)[0]


def new_event_ids(count: int) -> list[bytes]:
    """Return so many fresh event ids of this moment."""
    moment = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    noise = os.urandom(_RANDOM_BYTES * count)
    made = []
    for start in range(0, len(noise), _RANDOM_BYTES):
        one = bytearray(moment + noise[start : start + _RANDOM_BYTES])
        one[6] = 0x70 | one[6] & 0x0F
        one[8] = 0x80 | one[8] & 0x3F
        made.append(bytes(one))
    return made


def new_planning_id() -> str:
    """Return ``n_`` + 16 hex of a time-ordered id for one planning."""
    return "n_" + secrets.token_hex(8)


def fit_id_of(plan_id: str, job_id: str, family: str) -> str:
    """Return ``f_`` + 16 hex of sha256 over plan, job and family: the same fit has the same id everywhere."""
    return "f_" + hashlib.sha256("\0".join((plan_id, job_id, family)).encode()).hexdigest()[:16]


def plan_stream(plan_id: str) -> str:
    """Return the name of a plan's stream."""
    return f"plan-{plan_id}"


def fit_stream(fit_id: str) -> str:
    """Return the name of a fit's stream."""
    return f"fit-{fit_id}"


def host_stream(host: str) -> str:
    """Return the name of a host's stream."""
    return f"host-{host}"


def host_of(worker: str) -> str:
    """Return the host of a worker, from its name."""
    return worker.partition("/")[0]


def planning_stream(planning_id: str) -> str:
    """Return the name of a planning's stream."""
    return f"planning-{planning_id}"


INBOX_STREAM = "inbox"
PAUSE_STREAM = "pauses"
ARCHIVE_STREAM = "archive"
MODEL_STREAM = "models"


def pause_scope(plan: str | None, stage: str | None, host: str | None) -> str:
    """Return the key of a pause: its plan, stage and host, ``*`` for all of them."""
    return "/".join(part or "*" for part in (plan, stage, host))
