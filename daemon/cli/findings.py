"""What `trainwright doctor` says of one thing it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.settings import Settings

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: ok, warn or fail, and what to do unless it is ok."""

    name: str
    state: str
    words: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the checks go by: the settings, and the file they were read from, if any."""

    settings: Settings
    config: Path | None


Check = Callable[[Asked], Iterator[Finding]]


def found(name: str, words: str, *troubles: tuple[str, str, str]) -> Finding:
    """Return the worst of some troubles (state, words, fix), or that there is none."""
    if not troubles:
        return Finding(name=name, state=OK, words=words)
    state, problem, fix = max(troubles, key=lambda trouble: (OK, WARN, FAIL).index(trouble[0]))
    return Finding(name=name, state=state, words=f"{words}: {problem}" if words else problem, fix=fix)


def existing(path: Path) -> Path:
    """Return a path, or the nearest directory above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def gigabytes(count: float) -> str:
    """Return a number of bytes in gigabytes."""
    return f"{count / 1e9:.1f} GB"


def shown(names: Sequence[object], limit: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(str(name) for name in names[:limit]) + more
