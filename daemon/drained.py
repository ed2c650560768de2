"""How a drain ended: a record that is known without the service itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """How a drain ended: counts of fits over all its plans; `interrupted` when stopped before the end."""

    plan_ids: tuple[str, ...]
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int
    interrupted: bool
