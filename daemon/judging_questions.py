"""The question to the limited child, as text: which limits it keeps to, and by which settings it judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.settings import Settings

CONTROL_FD = "TRAINWRIGHT_JUDGING_FD"
TRY_AGAIN = 75  # the code of a child that could not judge for want of something that the host is short of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the child may use: first to read the plan, then, with the daemon's own data, for all of it.

    Attributes:
        reading_memory_bytes: on top of what it has at its start, while the plan is read.
        reading_seconds: of processor time, likewise.
        memory_bytes: on top of what it has at its start, once the plan is read.
        seconds: of processor time, likewise; the daemon watches the clock.
    """

    reading_memory_bytes: int
    reading_seconds: int
    memory_bytes: int
    seconds: int

    @classmethod
    def of(cls, plan_bytes: int, *, memory_bytes: int, seconds: float) -> Limits:
        """Return the limits for a plan of so many bytes, within those of the settings."""
        return cls(
            reading_memory_bytes=min(memory_bytes, 2**29 + 40 * plan_bytes),
            reading_seconds=round(min(seconds, 30 + plan_bytes / 10**6)) or 1,
            memory_bytes=memory_bytes,
            seconds=round(seconds) or 1,
        )


#: What of the settings decides about a plan; the rest, passwords among it, is nobody's business there.
JUDGED_BY = (
    *(
        "data_dir",
        "symbols",
        "families",
        "family_labels",
        "stage_barrier",
        "seed",
        "params",
        "test_share",
        "valid_share",
    ),
    *(
        "embargo_bars",
        "target_patterns",
        "horizons",
        "interval",
        "results_dir",
        "output_dir",
        "inbox_dir",
    ),
)
_PATHS = frozenset(("data_dir", "results_dir", "output_dir", "inbox_dir"))
_LISTS = frozenset(("symbols", "families", "target_patterns"))


def settings_words(settings: Settings) -> dict[str, Any]:
    """Return what of the settings decides about a plan, as JSON has it."""
    words = {name: getattr(settings, name) for name in JUDGED_BY}
    return {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in words.items()
    }


def settings_of(words: Mapping[str, Any]) -> Settings:
    """Return the settings of `settings_words`, their other fields as they are by default."""
    labels = {family: tuple(found) for family, found in words["family_labels"].items()}
    given: dict[str, Any] = {
        name: Path(value)
        if name in _PATHS and value is not None
        else tuple(value)
        if name in _LISTS
        else value
        for name, value in words.items()
    }
    return Settings(database_url="", **given | {"family_labels": labels})
