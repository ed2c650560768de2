"""The judge of a campaign: it reads the log alone, with a model of its own, and knows nothing of the store.

Every word a worker says in a campaign carries the fence it is said under (`spoken`), so the log itself shows
whether a word came from the holder of the fit. What the store told a worker comes as lines (`told`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import PlanStore
from store.database import connect

_ENDS = frozenset(("FitSucceeded", "FitFailed", "FitReleased", "LeaseExpired", "FitCancelled"))
_SPOKEN = {
    "FitStarted": "log",
    "CheckpointSaved": "path",
    "FitSucceeded": "bundle",
    "FitReleased": "cause",
    "FitFailed": "sentence",
}

_SELECT = """
SELECT seq, hex(event_id), stream, version, kind, fit, plan, CAST(data AS TEXT) FROM event ORDER BY seq
"""


@dataclass(slots=True)
class Audit:
    """What an audit found; `problems` are sentences, the first of each sort."""

    events: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubles: int = 0
    stale: int = 0
    claims: int = 0
    completions: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing at all was found."""
        return not (self.lost or self.doubles or self.stale or self.problems)

    def add(self, other: Audit, where: str) -> None:
        """Count another audit in; `where` is said before each of its problems."""
        self.events += other.events
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.doubles += other.doubles
        self.stale += other.stale
        self.claims += other.claims
        self.completions += other.completions
        self.problems += [f"{where}: {problem}" for problem in other.problems]

    def counts(self) -> dict[str, Any]:
        """The counts as a report has them, with the first problems."""
        return {
            "events": self.events,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "doubles": self.doubles,
            "stale": self.stale,
            "claims": self.claims,
            "completions": self.completions,
            "problems": self.problems[:5],
            "problem_count": len(self.problems),
        }


def spoken(worker: str, fence: int) -> str:
    """The mark of a word: who says it, under which fence."""
    return f"{worker}#{fence}"


def told_event(seq: int, kind: str, subject: str) -> bytes:
    """The line of an acknowledged event: a fit's or a plan's."""
    return f"E {seq} {kind} {subject}\n".encode()


def told_id(event_id: bytes, kind: str, fit: str) -> bytes:
    """The line of an acknowledged event whose seq the store does not say."""
    return f"K {event_id.hex()} {kind} {fit}\n".encode()


def told_claim(fit: str, fence: int, worker: str) -> bytes:
    """The line of an acknowledged claim."""
    return f"C {fence} {worker} {fit}\n".encode()


def audit(path: Path, told: Iterable[str], *, verify: bool = True) -> Audit:
    """Read a SQLite log and judge it against what was acknowledged; `verify` asks the store as well."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found = audit_rows(connection.execute(_SELECT), told)
    if verify:
        with PlanStore(connect(f"sqlite:///{path}")) as store:
            found.problems += store.verify().problems
    return found


def audit_rows(rows: Iterable[tuple[Any, ...]], told: Iterable[str]) -> Audit:
    """Judge rows (seq, event id in hex, stream, version, kind, fit, plan, data) in the order of the log."""
    found = Audit()
    holders: dict[str, str | None] = {}
    done: set[str] = set()
    kinds: dict[int | str, tuple[str, str]] = {}
    versions: dict[str, int] = {}
    claims: dict[tuple[str, int], str] = {}
    for seq, event_id, stream, version, kind, fit, plan, data in rows:
        found.events += 1
        if seq != found.events:
            found.problems.append(f"event {seq} stands at place {found.events} of the order")
        if version != versions.get(stream, 0) + 1:
            found.problems.append(
                f"event {seq}: version {version} of {stream} after {versions.get(stream, 0)}"
            )
        versions[stream] = version
        kinds[seq] = kinds[event_id.lower()] = (kind, fit or plan or "-")
        if fit is None:
            continue
        body = json.loads(data)
        if kind == "FitClaimed":
            found.claims += 1
            if holders.get(fit):
                found.problems.append(f"event {seq}: {fit} was claimed while {holders[fit]} holds it")
            holders[fit] = spoken(body["worker"], version)
            claims[fit, version] = body["worker"]
        elif "#" in (mark := str(body.get(_SPOKEN.get(kind), ""))):
            found.stale += mark != holders.get(fit)
        if kind == "FitSucceeded":
            found.completions += 1
            found.doubles += fit in done
            done.add(fit)
        if kind in _ENDS:
            holders[fit] = None
    _compare(found, told, kinds, claims)
    return found


def _compare(
    found: Audit,
    told: Iterable[str],
    kinds: dict[int | str, tuple[str, str]],
    claims: dict[tuple[str, int], str],
) -> None:
    """Count each acknowledgement, and those that the log does not bear out."""
    for line in told:
        words = line.split()
        found.acknowledged += 1
        if words[0] in "EK":
            kept = kinds.get(int(words[1]) if words[0] == "E" else words[1]) == (words[2], words[3])
        else:
            kept = claims.get((words[3], int(words[1]))) == words[2]
        if not kept:
            found.lost += 1
            if found.lost <= 3:
                found.problems.append(f"acknowledged, but not in the log: {line.strip()}")


def open_fits(path: Path) -> int:
    """How many fits have not ended."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        sql = (
            "SELECT COUNT(*) FROM fit WHERE state NOT IN ('succeeded', 'failed', 'unavailable', 'cancelled')"
        )
        return int(connection.execute(sql).fetchone()[0])
